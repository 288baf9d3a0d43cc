"use strict";
(() => {
  const data = JSON.parse(document.getElementById("plot-data").textContent);
  const axes = ["step", "tokens", "time"];
  const number = v => v >= 1000 ? Math.round(v).toLocaleString("en-US") : String(+v.toPrecision(5));
  const time = s => s < 60 ? s.toFixed(1) + " s" : s < 3600 ? Math.floor(s / 60) + " min " +
      Math.round(s % 60) + " s" : Math.floor(s / 3600) + " h " + Math.round(s / 60 % 60) + " min";
  const svgns = "http://www.w3.org/2000/svg";
  for (const box of document.querySelectorAll(".variant")) {
    const svg = box.querySelector("svg"), axis = +box.dataset.axis;
    const [left, top, right, bottom] = svg.dataset.area.split(" ").map(Number);
    const [low, high] = svg.dataset.x.split(" ").map(Number);
    const reading = document.createElement("div");
    reading.className = "reading";
    reading.hidden = true;
    const line = document.createElementNS(svgns, "path");
    line.setAttribute("class", "cursor");
    line.style.stroke = "var(--soft)";
    box.append(reading);
    const hide = () => { reading.hidden = true; line.remove(); };
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("pointermove", event => {
      const seen = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / seen.width;
      const at = (event.clientX - seen.left) * scale;
      if (at < left - 8 || at > right + 8) return hide();
      const x = low + (Math.min(Math.max(at, left), right) - left) / (right - left) * (high - low);
      let where = null;
      const rows = [];
      for (const curve of data[box.dataset.plot]) {
        let best = null;
        for (const point of curve.points) {
          if (point[axis] !== null && (!best || Math.abs(point[axis] - x) < Math.abs(best[axis] - x))) best = point;
        }
        if (!best) continue;
        if (where === null || Math.abs(best[axis] - x) < Math.abs(where - x)) where = best[axis];
        rows.push([curve, best]);
      }
      if (where === null) return hide();
      reading.replaceChildren();
      const head = document.createElement("b");
      head.textContent = axis === 2 ? time(where) : axes[axis] + " " + number(Math.round(where));
      reading.append(head);
      for (const [curve, point] of rows) {
        const row = document.createElement("div"), mark = document.createElement("i");
        mark.style.setProperty("--mark", getComputedStyle(svg).getPropertyValue("--color" + curve.color));
        row.append(mark, curve.name + "  " + number(point[3]));
        reading.append(row);
      }
      const px = left + (where - low) / (high - low) * (right - left);
      line.setAttribute("d", `M${px} ${top}V${bottom}`);
      svg.append(line);
      reading.hidden = false;
      const beside = px / scale, width = reading.offsetWidth;
      reading.style.left = (beside + width + 14 < seen.width ? beside + 12 : Math.max(0, beside - width - 12)) + "px";
      reading.style.top = top / scale + "px";
    });
  }
})();
