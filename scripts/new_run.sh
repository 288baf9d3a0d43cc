# For scripts that train into a new folder of runs/, which source this file first: goes to the root of
# the repository, and names files and folders from where the caller stands.
caller=$PWD
for name in FOLIO_CACHE_DIR FOLIO_DATA_DIR; do
  folder=${!name:-}
  [[ -z $folder || $folder == /* ]] || export "$name=$PWD/$folder"
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."

script=$(basename "$0")
folio=build/release/folio

fail() {  # the first line says what is wrong, the others what to do
  printf '%s\n' "$script: error: $1" "${@:2}" >&2
  exit 1
}

from_caller() {  # from_caller FILE: where it is, seen from here
  if [[ $1 == /* || ! -f $caller/$1 ]]; then echo "$1"; else echo "$caller/$1"; fi
}

read_options() {  # read_options OPTION...: sets `options`, and `text` to the text they name
  local option
  options=() text=
  for option in "$@"; do
    case $option in
      data.text=* | --set=data.text=*)
        text=$(from_caller "${option#*data.text=}")
        option=${option%%data.text=*}data.text=$text
        ;;
      --run | --run=*) fail "the run's folder is chosen by this script; for one of your own:" \
        "  $folio train $config --run DIR" ;;
      --resume) fail "this script always starts a new run; to continue one:" \
        "  $folio train --resume --run DIR" ;;
    esac
    options+=("$option")
  done
}

prepare() {  # set-up, build, and a text where the options name none
  ./scripts/setup
  ./scripts/build release folio
  if [[ -z $text ]]; then
    text=$(./scripts/get_data)
    options=(--set "data.text=$text" "${options[@]}")
  fi
  echo "text: $text"
}

train_new_run() {  # train_new_run NAME: sets `run`, the first of runs/NAME, runs/NAME-2, ... that is free
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
