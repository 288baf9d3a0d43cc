#include "folio/report/page_style.h"

#include <fmt/format.h>

#include "folio/report/html.h"
#include "folio/report/svg_plot.h"

namespace folio {
namespace {

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--page:#f7f3ea;--card:#fffdf8;--text:#211d18;--quiet:#645c51;--rule:#e0d8c8;
--accent:#9c2f24;--serif:"Iowan Old Style","Palatino Linotype",Palatino,"Book Antiqua",Georgia,"DejaVu Serif",serif;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){:root{--page:#151311;--card:#1d1a17;--text:#ece6db;--quiet:#aba294;
--rule:#38332d;--accent:#f08a78}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1240px;padding:3.5rem 2.5rem 4rem;background:var(--page);color:var(--text);
font:16px/1.6 var(--sans)}
h1,h2,h3,p,dl,dd,figure,fieldset{margin:0;padding:0;border:0}
h1{font:500 clamp(2.1rem,5vw,3.4rem)/1.1 var(--serif);letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font:500 1.7rem/1.25 var(--serif);margin-bottom:1.4rem}
h3{font:600 .95rem/1.4 var(--sans)}
.kicker{color:var(--accent);font-weight:600;font-size:.82rem;letter-spacing:.14em;text-transform:uppercase;margin-bottom:.7rem}
.lead{font:1.25rem/1.55 var(--serif);color:var(--quiet);margin-top:1rem;max-width:46rem;overflow-wrap:anywhere}
section{margin-top:4.5rem}
.headlines{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1.4rem 2rem;margin-top:2.2rem;
padding-top:1.4rem;border-top:1px solid var(--rule)}
.headlines dt{font-size:.85rem;color:var(--quiet)}
.headlines dd{font:500 1.75rem/1.3 var(--serif);font-variant-numeric:tabular-nums lining-nums;overflow-wrap:anywhere}
h2.run{font-size:1.2rem;margin:2.4rem 0 -1.2rem}h3.run{margin:2.2rem 0 1rem;overflow-wrap:anywhere}
.samples+h3.run,.span+h3.run{margin-top:3rem}
.swatch{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.55em;background:var(--color)}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(max(15.5rem,(100% - 3.9rem)/4),1fr));gap:1.3rem}
.sample,.large,.small,.facts{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.sample{padding:1.2rem 1.3rem 1.4rem;break-inside:avoid}
.sample .measure{font-size:.85rem;color:var(--quiet);font-variant-numeric:tabular-nums}
.sample .text{font:.98rem/1.6 var(--serif);white-space:pre-wrap;overflow-wrap:anywhere;margin-top:.9rem}
.prompt{color:var(--accent)}
.span{margin-top:1.5rem;max-width:46rem;color:var(--quiet)}.span q{font-family:var(--serif);color:var(--text);white-space:pre-wrap;overflow-wrap:anywhere}
.switches{display:flex;flex-wrap:wrap;gap:.8rem 2.2rem;margin-bottom:1.4rem}
fieldset{display:flex;flex-wrap:wrap;align-items:center;gap:.35rem}
legend{float:left;font-size:.9rem;color:var(--quiet);padding:0;margin-right:.7rem}
fieldset input{position:absolute;opacity:0;pointer-events:none}
fieldset label{padding:.3rem .85rem;border:1px solid var(--rule);border-radius:99px;font-size:.9rem;cursor:pointer;background:var(--card)}
fieldset input:checked+label{background:var(--text);color:var(--page);border-color:var(--text)}
fieldset input:focus-visible+label{outline:2px solid var(--accent);outline-offset:2px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1.3rem}
.large{grid-column:1/-1}.large,.small{padding:1.2rem 1.3rem 1rem;position:relative;min-width:0;break-inside:avoid}
figcaption{font:500 1.15rem/1.4 var(--serif);margin-bottom:.6rem}
.plot{display:block;width:100%;height:auto;overflow:visible;touch-action:pan-y}
.variant{display:none;position:relative}
@supports not selector(:has(*)){.variant.step.linear{display:block}}
)";

/// One rule a pair of switches: shows the plots of that axis and that scale.
std::string variant_rules() {
  std::string rules;
  for (const std::string_view x : {"step", "tokens", "time"}) {
    for (const std::string_view y : {"linear", "log"}) {
      rules += fmt::format(
          ".curves:has(#x-{0}:checked):has(#y-{1}:checked) .variant.{0}.{1}{{display:block}}\n", x,
          y);
    }
  }
  return rules;
}

constexpr std::string_view more_style = R"(
@media screen and (max-width:760px){.curves .variant.wide{display:none!important}}
@media screen and (min-width:761px){.curves .variant.narrow{display:none!important}}
.save{font-size:.85rem;color:var(--quiet);text-underline-offset:.2em;text-decoration-color:var(--rule)}
.save:hover{color:var(--accent)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
details{margin-top:.5rem}
summary{cursor:pointer;font-size:.9rem;color:var(--quiet)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:.42rem .9rem .42rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th[scope=row]{font-weight:400;color:var(--quiet)}
td:last-child,th:last-child{padding-right:0}
tr:last-child>*{border-bottom:0}
.numbers td,.numbers th[scope=col]{text-align:right}.numbers th:first-child{text-align:left}
.numbers table{margin-top:.6rem;font-size:.85rem}
.columns{columns:2 24rem;column-gap:1.3rem}.columns.stacked{columns:1}
.facts{padding:1.2rem 1.3rem .8rem;margin-bottom:1.3rem;break-inside:avoid}
.facts h3{font:500 1.15rem/1.4 var(--serif);margin-bottom:.4rem}
.facts td{overflow-wrap:anywhere;min-width:6rem}
.number{white-space:nowrap}
.columns:not(.stacked) td{text-align:right}
.stacked th[scope=row]{width:16rem}
@media(max-width:30rem){.stacked .facts{padding-inline:.8rem}.stacked table{font-size:.78rem}.stacked th,.stacked td{padding-right:.5rem;overflow-wrap:anywhere}
.stacked td{min-width:4.2rem}.stacked th[scope=row]{width:auto;min-width:4.6rem;overflow-wrap:normal}}
.differs td{font-weight:600}.differs th[scope=row]::after{content:" \2260";color:var(--accent)}
.notes{color:var(--quiet);padding-left:1.2rem}.notes li{overflow-wrap:anywhere}
pre{font:.82rem/1.6 var(--mono);background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:1.2rem 1.3rem;overflow-x:auto;margin:.8rem 0 0}
.note{max-width:46rem;color:var(--quiet);margin-bottom:1.6rem}
.maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));gap:1.3rem;margin:.8rem 0 2.2rem}
.small .measure{font-size:.8rem;color:var(--quiet);margin:.5rem 0 .3rem;overflow-wrap:anywhere}
.positions,.positions ul{list-style:none;margin:0;padding:0}
.positions>li{display:grid;grid-template-columns:11rem 1fr;gap:.4rem 1.4rem;padding:.55rem 0;border-bottom:1px solid var(--rule);break-inside:avoid}
.positions .after{font:.95rem/1.5 var(--mono);text-align:right;overflow-wrap:anywhere;color:var(--quiet);align-self:center}
mark{background:var(--accent);color:var(--page);border-radius:3px;padding:0 .15em}
.positions ul{display:flex;flex-wrap:wrap;gap:.4rem}
.positions ul li{display:flex;align-items:center;gap:.5rem;padding:.2rem .55rem;background:var(--card);border:1px solid var(--rule);border-radius:6px;font-size:.8rem;font-variant-numeric:tabular-nums}
.positions .came{border-color:var(--accent);box-shadow:0 0 0 1px var(--accent)}
.token{font:600 .95rem/1.2 var(--mono)}.bars{width:2.6rem}.bars i{display:block;height:4px;margin:2px 0;background:var(--rule);border-radius:2px;min-width:1px}
.bars i+i{background:var(--accent)}.bars i{background:var(--quiet)}
footer{margin-top:4rem;padding-top:1.4rem;border-top:1px solid var(--rule);font-size:.88rem;color:var(--quiet)}
footer p{max-width:46rem}
.reading{position:absolute;z-index:2;pointer-events:none;background:var(--text);color:var(--page);border-radius:7px;
padding:.45rem .7rem;font-size:.82rem;line-height:1.5;white-space:nowrap;font-variant-numeric:tabular-nums}
.reading b{display:block;font-weight:600}.reading i{display:inline-block;width:.65em;height:.65em;border-radius:50%;margin-right:.5em;background:var(--mark)}
@media (max-width:760px){body{padding:2rem 1rem 3rem}.positions>li{grid-template-columns:1fr}.positions .after{text-align:left}section{margin-top:3.2rem}.lead{font-size:1.1rem}
.headlines{grid-template-columns:1fr 1fr;gap:1rem}.headlines dd{font-size:1.4rem}
.large,.small,.facts,.sample{padding-left:1rem;padding-right:1rem}.columns{columns:1}
.stacked table{font-size:.78rem}.stacked th[scope=row]{width:auto}.stacked td{min-width:0}
.stacked th,.stacked td{padding-right:.45rem}}
@media print{:root{--page:#fff;--card:#fff;--text:#000;--quiet:#444;--rule:#ccc;--accent:#9c2f24}
body{max-width:none;padding:0;font-size:10.5pt}section{margin-top:2rem}h2{break-after:avoid}
.switches,.save,.numbers,script{display:none}.curves .variant.narrow{display:none!important}
.samples{grid-template-columns:1fr 1fr}.sample .text{font-size:9.5pt}
.plots{grid-template-columns:1fr 1fr}pre{white-space:pre-wrap;font-size:7.5pt;border:0;padding:0}}
)";

constexpr std::string_view script = R"js(
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
)js";

}  // namespace

std::string page_head(std::string_view title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n"
      "<style>{}{}{}{}</style>\n</head><body>\n",
      escape_html(title), plot_style(), style, variant_rules(), more_style);
}

std::string_view plot_script() { return script; }

}  // namespace folio
