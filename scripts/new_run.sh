# Scripts that train into a new folder of runs/ source this file first. It changes to the root of the
# repository and resolves files and folders relative to the caller's directory.
caller=$PWD
for name in FOLIO_CACHE_DIR FOLIO_DATA_DIR; do
  folder=${!name:-}
  [[ -z $folder || $folder == /* ]] || export "$name=$PWD/$folder"
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."

script=$(basename "$0")
folio=build/release/folio

fail() {  # the first line states the error, the others what to do
  printf '%s\n' "$script: error: $1" "${@:2}" >&2
  exit 1
}

from_caller() {  # from_caller FILE: the path of the caller's FILE, relative to the root
  if [[ $1 == /* || ! -f $caller/$1 ]]; then echo "$1"; else echo "$caller/$1"; fi
}

read_options() {  # read_options OPTION...: sets `options`, and `text` to the text that they name
  local option
  options=() text=
  for option in "$@"; do
    case $option in
      data.text=* | --set=data.text=*)
        text=$(from_caller "${option#*data.text=}")
        option=${option%%data.text=*}data.text=$text
        ;;
      --run | --run=*) fail "this script chooses the run's folder; to choose it yourself:" \
        "  $folio train $config --run DIR" ;;
      --resume) fail "this script always starts a new run; to continue one:" \
        "  $folio train --resume --run DIR" ;;
    esac
    options+=("$option")
  done
}

prepare() {  # set-up, build, and a text if the options name none
  ./scripts/setup
  ./scripts/build release folio
  if [[ -z $text ]]; then
    text=$(./scripts/get_data)
    options=(--set "data.text=$text" "${options[@]}")
  fi
  echo "text: $text"
}

train_new_run() {  # train_new_run NAME: sets `run` to the first free one of runs/NAME, runs/NAME-2, ...
  mkdir -p runs
  run=runs/$1
  local i
  for ((i = 2; ; ++i)); do
    [[ -e $run ]] || break
    run=runs/$1-$i
  done
  "$folio" train "$config" --run "$run" "${options[@]}"
}

holds_checkpoint() {  # whether `run` can be evaluated and sampled from
  compgen -G "$run/checkpoints/*/state.json" >/dev/null
}
