# Reads the plain progress of `dagger call`, `check` or `up` and prints a line for each gate, check or
# published service, a sign of life every 30 s, and in the end the log's name and the error.
#
# The module reports by printing lines from its function. Lines that containers print are deeper in
# the tree, so a test cannot forge them.
#   [pitwall] run NAME [SECONDS]   a step starts, which usually takes so long
#   [pitwall] NAME OUTCOME …       it has ended: shown as it is
#   [pitwall] TEXT                 anything else: shown as it is
#
#   -v file=FILE     the full log, to name it
#   -v version=VERSION the version of Dagger that dagger.json pins
#   -v began=SECONDS when the call began; a line of \001 and the present second is a tick
BEGIN { quiet = 30; now = shown = began + 0 }

function show(text) {
  print text
  fflush()
  shown = now
  seen = done
}

function publish(addresses) {
  published = 1
  show("ready: " addresses)
}

function clock(seconds) {
  return seconds < 60 ? seconds "s" : int(seconds / 60) "m" sprintf("%02ds", seconds % 60)
}

# The text after the last `pattern` of a line; awk has no captures.
function after(pattern, text) {
  return match(text, pattern) ? substr(text, RSTART + RLENGTH) : ""
}

function start(name, seconds) {
  if (!(name in since)) order[++started] = name
  since[name] = now
  usual[name] = seconds
}

# The steps that run, or the last one that started if the module reports none.
function running(  i, name, text) {
  for (i = 1; i <= started; i++) {
    name = order[i]
    if (name in since)
      text = text ", " name " " clock(now - since[name]) (usual[name] == "" ? "" : " (usually " clock(int(usual[name] + 0.5)) ")")
  }
  if (text != "") return ", running: " substr(text, 3)
  return ", " (done + 0) " steps done" (step == "" ? "" : ", last started: " step)
}

function reported(text,  word) {
  split(text, word, " ")
  if (word[1] == "run" && word[2] != "") start(word[2], word[3])
  else {
    delete since[word[1]]
    show(text)
  }
}

# A tick may have been written into the middle of a line.
/\001[0-9]+$/ {
  match($0, /\001[0-9]+$/)
  half = half substr($0, 1, RSTART - 1)
  now = substr($0, RSTART + 1) + 0
  # Published services run until somebody stops them, so only progress counts from then on.
  if (now - shown >= quiet && (!published || done != seen)) show("daggerw: " clock(now - began) running())
  next
}

half != "" {
  $0 = half $0
  half = ""
}

# The engine's manager reports what it builds.
/^pitwall: / {
  show($0)
  next
}

# The last thing that the CLI prints is its error.
/^Error: / {
  error = substr($0, 8)
  sub(/ \[traceparent:[0-9a-f-]+\]$/, "", error)
  inside = "error"
  next
}

# A step of the tree: `12  : ┆ name`, `12  : ┆ name DONE [1.0s]`, `12  : ┆ [1.0s] | printed`, `12  : ! why`.
/^([0-9]   |[0-9][0-9]  |[0-9][0-9][0-9] |[0-9][0-9][0-9][0-9]+): / {
  # The tree goes on, so what looked like the final error was a line of a message in it.
  if (inside == "error") error = ""
  text = after("^[0-9]+ *: ", $0)
  id = $0 + 0
  top = text !~ /^┆/
  sub(/^(┆ )+/, "", text)
  if (text ~ /^\[[0-9a-z.]+\] \|/) {
    inside = ""
    printed = after("^\\[[0-9a-z.]+\\] \\| ?", text)
    if (id in client && printed ~ /[Ee]rror/) refusal = printed
    if (top && printed ~ /^\[pitwall\] /) reported(substr(printed, 11))
    else if (printed ~ /tunnel started .* https?_url=/) {
      sub(/.* https?_url=/, "", printed)
      sub(/ .*/, "", printed)
      publish(printed)
    }
  } else if (text ~ /^! /) {
    inside = top ? "cause" : "detail"
    if (top) cause = cause (cause == "" ? "" : "\n") substr(text, 3)
  } else {
    inside = ""
    # The CLI starts the engine with the client of a container runtime, and its errors hide what the client says.
    if (text ~ /^exec (docker|podman|finch|nerdctl|container) /) client[id]
    if (match(text, / (DONE|CACHED|ERROR) \[[0-9a-z.]+\]/)) {
      done++
      outcome = substr(text, RSTART + 1, RLENGTH - 1)
      name = substr(text, 1, RSTART - 1)
      if (top && name ~ /^[a-z0-9-]+(:[a-z0-9-]+)+$/) {
        sub(/^DONE/, "passed", outcome)
        sub(/^CACHED/, "passed", outcome)
        sub(/^ERROR/, "failed", outcome)
        gsub(/[][]/, "", outcome)
        show(after("^[a-z0-9-]+:", name) " " outcome)
      }
    } else if (text ~ /^ready http/) publish(after("^ready ", text))
    else if (text ~ /^(withExec |exec |[A-Z][A-Za-z]*\.[a-z])/ && text !~ /^(Container|Directory|File|Host|Service)\./)
      step = substr(text, 1, 80)
  }
  next
}

# More lines of a message.
inside == "error" && /^Run 'dagger .* --help' for usage\.$/ {
  usage = $0
  sub(/dagger/, "./daggerw", usage)
  next
}
inside == "error" {
  sub(/ \[traceparent:[0-9a-f-]+\]$/, "")
  error = error "\n" $0
  next
}
inside == "cause" {
  cause = cause "\n" $0
  next
}
inside == "detail" { next }

# The CLI's own records.
/^[0-9][0-9]:[0-9][0-9]:[0-9][0-9] (DBG|INF|WRN) / { next }

# Anything else comes from outside the tree, such as a container runtime's client.
/[^ ]/ { show($0) }

END {
  print "daggerw: the full log is " file
  if (usage != "") print usage
  if (error == "") error = cause
  sub(/\n+$/, "", error)
  # The CLI names the engine's version only.
  if (error ~ /incompatible engine version v[0-9.]+/)
    error = "the engine is Dagger " after("incompatible engine version ", error) ", and dagger.json pins " version ": use an engine of that version. " \
      "Docker's is replaced by `docker rm -fv dagger-engine-" version "; docker rmi registry.dagger.io/engine:" version "` and the command again"
  if (error ~ /^start engine: / && refusal != "") error = error "\n" refusal
  if (error != "") print "Error: " error
}
