# The view on a terminal: one screen that is drawn again every second, on the terminal's alternate
# screen, so that a resize or a wrapped line cannot spoil what was there before. Run it with LC_ALL=C:
# it measures the width of UTF-8 characters itself, because awks differ in it.
#
# DAGGERW_CALL in its environment is the command, for the first line.
#
#   -v colours=yes    use colours
#   -v rows=N -v columns=N  the size of the terminal at first; a tick has the present one
BEGIN {
  for (i = 1; i < 256; i++) byte[sprintf("%c", i)] = i
  if (colours != "") {
    red = "\033[31m"
    green = "\033[32m"
    yellow = "\033[33m"
    faint = "\033[2m"
    bold = "\033[1m"
    plain = "\033[0m"
  }
  open()
  draw()
}

function open() {
  # The alternate screen, no cursor, no wrapping.
  printf "\033[?1049h\033[?25l\033[?7l"
  is_open = 1
}

# Clears the screen first, for terminals without an alternate one.
function close_view() {
  if (!is_open) return
  printf "\033[H\033[J\033[?7h\033[?25h\033[?1049l"
  fflush()
  is_open = 0
}

function say(text) {
  if (published_at) {
    print text
    fflush()
    return
  }
  kept[++keeps] = text
  draw()
}

function ended(name, outcome, text, again) {
  result[name] = text
  if (outcome == "failed" || outcome == "could not run") bad[++bads] = name
  else if (!again || outcome == "skipped") good[++goods] = name
  draw()
}

function published(text) {
  close_view()
  print text
  fflush()
}

function ticked() {
  if (is_open) draw()
}

# What the module said is worth keeping; gates are in the result.
function finish(  i) {
  close_view()
  if (!published_at) for (i = 1; i <= keeps; i++) print kept[i]
  print "daggerw: " clock(now - began) ", " counts()
}

# --- one screen ---------------------------------------------------------------------------------

# Running steps come first, then failures, then what ended or was said last; the log's name is at the end.
function draw(  run, count, i, height, width, used, room, name, wide, first, status) {
  height = rows > 0 ? rows : 24
  width = columns > 0 ? columns : 80
  count = running(run)
  lines = 0
  status = clock(now - began) ", " counts() (count ? ", " count " running" : "")
  row(bold, status (width < 60 ? "" : "   daggerw " ENVIRON["DAGGERW_CALL"]), width)

  # A failure is worth more than the ninth running step.
  room = height - 3
  used = bads + count > room && count > int(room / 2) ? max(int(room / 2), room - bads) : count
  wide = 12
  for (i = 1; i <= used; i++) wide = max(wide, measure(run[i]))
  wide = min(wide, max(1, width - 22))
  for (i = 1; i <= used && lines < height - 1; i++) {
    if (i == used && i > 1 && count > used) row(yellow, "running  and " (count - used + 1) " more", width)
    else row(yellow, "running  " fit(run[i], wide) "  " elapsed(run[i], width), width)
  }
  room = height - 1 - lines
  for (i = 1; i <= bads && lines < height - 1; i++) {
    name = bad[bads - i + 1]
    if (i == room && i > 1 && bads > room) row(red, "failed   and " (bads - i + 1) " more", width)
    else row(red, (state[name] == "failed" ? "failed   " : "no run   ") name "  " after_outcome(result[name]), width)
  }
  room = height - 1 - lines
  if (room > 1 && keeps + goods > 0) {
    row("", "", width)
    room--
    # What was said belongs to deploys, ends of gates to ci: a call has one or the other, mostly.
    first = max(1, goods - max(0, room - keeps) + 1)
    for (i = max(1, keeps - (room - (goods - first + 1)) + 1); i <= keeps; i++) if (lines < height - 1) row("", kept[i], width)
    for (i = first; i <= goods; i++) if (lines < height - 1) {
      name = good[i]
      row(state[name] == "skipped" ? yellow : green, sprintf("%-9s", state[name]) name "  " after_outcome(result[name]), width)
    }
  }
  if (lines < height - 1) row("", "", width)
  if (lines < height) row(faint, "Full log: " file, width)
  # From the top left corner; each line clears its rest, and the last one what is below.
  printf "\033[H"
  for (i = 1; i <= lines; i++) printf "%s\033[K%s", drawn[i], (i < lines ? "\r\n" : "\033[J")
  fflush()
}

function row(style, text, width) {
  drawn[++lines] = style clip(text, width) (style == "" ? "" : plain)
}

function elapsed(name, width,  usual) {
  usual = usually(name)
  if (usual == "") return clock(now - since[name])
  return clock(now - since[name]) (width < 60 ? "/" clock(usual) : " of usually " clock(usual))
}

# The first line of what a gate said, without the word that its line begins with.
function after_outcome(text) {
  sub(/\n.*/, "", text)
  sub(/^(passed|failed|skipped|could not run)( in |: | )?/, "", text)
  return text
}

function max(one, other) {
  return one > other ? one : other
}

function min(one, other) {
  return one < other ? one : other
}

# --- the width of UTF-8 text --------------------------------------------------------------------

# Columns that a text takes.
function measure(text) {
  cut(text, 1e6)
  return cut_width
}

# Text cut or filled to exactly so many columns.
function fit(text, width) {
  text = clip(text, width)
  return text sprintf("%" max(0, width - measure(text)) "s", "")
}

# Text of at most so many columns, with dots where something is missing.
function clip(text, width,  part) {
  part = cut(text, width)
  if (!cut_short) return part
  return cut(text, max(0, width - 3)) substr("...", 1, width)
}

# The first characters that fit. Sets cut_width, and cut_short if something is left.
function cut(text, width,  at, size, code, columns_of, length_of, out) {
  gsub(/\033\[[0-9;?]*[A-Za-z]/, "", text)
  gsub(/\t/, "  ", text)
  cut_width = cut_short = 0
  length_of = length(text)
  for (at = 1; at <= length_of; at += size) {
    code = byte[substr(text, at, 1)] + 0
    size = 1
    if (code >= 240) code = code % 8
    else if (code >= 224) code = code % 16
    else if (code >= 192) code = code % 32
    if (code != byte[substr(text, at, 1)] + 0) {
      while (byte[substr(text, at + size, 1)] >= 128 && byte[substr(text, at + size, 1)] < 192) {
        code = code * 64 + byte[substr(text, at + size, 1)] - 128
        size++
      }
    } else if (code < 32 || code == 127 || code >= 128) continue
    columns_of = columns_for(code)
    if (cut_width + columns_of > width) {
      cut_short = 1
      break
    }
    cut_width += columns_of
    out = out substr(text, at, size)
  }
  return out
}

# 0 for marks that combine with the character before, 2 for East Asian wide characters and emoji.
function columns_for(code) {
  if (code < 768) return code >= 128 && code < 160 ? 0 : 1
  if (code < 880 || (code >= 8203 && code <= 8207) || (code >= 8234 && code <= 8238) || (code >= 8294 && code <= 8297) || (code >= 8400 && code < 8448) || (code >= 65024 && code <= 65039) || code == 65279) return 0
  if ((code >= 4352 && code <= 4447) || (code >= 11904 && code <= 42191) || (code >= 44032 && code <= 55203) || (code >= 63744 && code <= 64255) || (code >= 65072 && code <= 65135) || (code >= 65281 && code <= 65376) || (code >= 65504 && code <= 65510) || (code >= 127744 && code <= 129791) || (code >= 131072 && code <= 262141)) return 2
  return 1
}
