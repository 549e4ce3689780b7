# SPDX-License-Identifier: Apache-2.0
# Completion of tenon for bash: commands of `tenon help`, and those of the server that works on the
# data folder of the line.

# The commands as lines of words: of the program, then of the server and its plugins.
_tenon_commands() {
  tenon help 2>/dev/null | awk '
    /^Commands/ { on = 1; next }
    on && /^$/ { exit }
    on && /^  [a-z]/ {
      sub(/   .*/, "")
      parts = split($0, part, ", ")
      for (i = 1; i <= parts; ++i) {
        words = split(part[i], word, " ")
        line = ""
        for (j = 1; j <= words; ++j) {
          options = split(word[j], option, "|")
          for (k = 1; options > 1 && k <= options; ++k) {
            if (option[k] ~ /^[a-z][-a-z]*$/) print line option[k]
          }
          if (options > 1) line = ""
          if (word[j] !~ /^[a-z][-a-z]*$/) break
          line = line word[j] " "
        }
        if (line != "") print line
      }
    }'
  tenon commands "$@" 2>/dev/null | awk 'NR > 1 { gsub(/\./, " ", $1); print $1 }'
}

_tenon() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word i
  local -a words=() folder=()
  case $previous in
    --data-dir | --plugin-path | --dir) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --deployment | check) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word == --data-dir ]]; then
      folder=(--data-dir "${COMP_WORDS[i + 1]}")
    fi
    if [[ $word == -* ]]; then
      ((++i))
    else
      words+=("$word")
    fi
  done
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "--data-dir --deployment --json --help --set --plugin-path" -- "$current")
    return
  fi
  local start="${words[*]}${words[*]:+ }"
  mapfile -t COMPREPLY < <(compgen -W "$(_tenon_commands "${folder[@]}" | awk -v start="$start" '
    index($0, start) == 1 { split(substr($0, length(start) + 1), rest, " "); print rest[1] }' | sort -u)" -- "$current")
}

complete -o default -F _tenon tenon
