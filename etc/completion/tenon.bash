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
          named = 0
          for (k = 1; options > 1 && k <= options; ++k) {
            if (option[k] ~ /^[a-z][-a-z]*$/) { print line option[k]; named = 1 }
          }
          if (named) line = ""
          if (word[j] !~ /^[a-z][-a-z]*$/) break
          line = line word[j] " "
        }
        if (line != "") print line
      }
    }'
  tenon commands "$@" 2>/dev/null | awk 'NR > 1 { gsub(/\./, " ", $1); print $1 }'
}

# Options that the help names for the commands of the given words.
_tenon_options() {
  tenon help 2>/dev/null | awk -v words="$*" '
    /^Commands/ { on = 1; next }
    on && /^$/ { exit }
    on && /^  [a-z]/ {
      sub(/^  /, "")
      sub(/   .*/, "")
      parts = split($0, part, ", ")
      for (i = 1; i <= parts; ++i) {
        count = split(part[i], word, " ")
        name = ""
        for (j = 1; j <= count && word[j] ~ /^[a-z][-a-z]*$/; ++j) name = name word[j] " "
        if (name == "" || index(words " ", name) != 1) continue
        while (match(part[i], /--[a-z][-a-z]*/)) {
          print substr(part[i], RSTART, RLENGTH)
          part[i] = substr(part[i], RSTART + RLENGTH)
        }
      }
    }'
}

_tenon() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word i
  local -a words=() folder=()
  case $previous in
    --data-dir | --plugin-path | --dir | --folder) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
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
    mapfile -t COMPREPLY < <(compgen -W "--data-dir --deployment --json --help --set --plugin-path
      $(_tenon_options "${words[@]}")" -- "$current")
    return
  fi
  local start="${words[*]}${words[*]:+ }"
  mapfile -t COMPREPLY < <(compgen -W "$(_tenon_commands "${folder[@]}" | awk -v start="$start" '
    index($0, start) == 1 { split(substr($0, length(start) + 1), rest, " "); print rest[1] }' | sort -u)" -- "$current")
}

complete -o default -F _tenon tenon
