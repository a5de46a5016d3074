# Reads the plain progress of `dagger call`, `check` or `up`, and gives a view what happens. The views
# are lines.awk and live.awk: `awk -f read.awk -f lines.awk`. It runs in mawk, gawk, busybox and macOS awk.
#
# The module reports by printing lines from its function. Lines that containers print are deeper in
# the tree, so a test cannot forge them.
#   [pitwall] plan COUNT           so many gates are to run
#   [pitwall] run NAME             a gate or step starts
#   [pitwall] NAME OUTCOME …       it has ended: passed, failed, skipped, or could not run
#   [pitwall] TEXT                 anything else: shown as it is
#
#   -v file=FILE      the full log, to name it
#   -v version=VERSION  the version of Dagger that dagger.json pins
#   -v began=SECONDS  when the call began; a line of \001, the present second, rows and columns is a tick
#   -v times=FILE     how long steps took in earlier calls; new times are added to it
#   -v catalog=FILE   dagger/config/services.yaml, to name what `up` publishes
#   -v logins=FILE    the source file with the demonstration login
#
# A view defines:
#   say(text)         a line to keep
#   ended(name, outcome, text, again)  a gate or check ended; `again`: remembered from an earlier run
#   ticked()          a second or more passed
#   published(text)   services are ready; the call runs until it is stopped
#   finish()          the last line was read; the log's name and the error follow

BEGIN {
  now = began + 0
  while (times != "" && (getline line < times) > 0) {
    at = index(line, " ")
    remember(substr(line, at + 1), substr(line, 1, at - 1) + 0)
  }
  if (times != "") close(times)
}

function clock(seconds) {
  if (seconds < 60) return seconds "s"
  if (seconds < 3600) return int(seconds / 60) "m" sprintf("%02ds", seconds % 60)
  return int(seconds / 3600) "h" sprintf("%02dm", int(seconds % 3600 / 60))
}

# The text after the last `pattern` of a line; awk has no captures.
function after(pattern, text) {
  return match(text, pattern) ? substr(text, RSTART + RLENGTH) : ""
}

# --- usual times --------------------------------------------------------------------------------

function remember(name, seconds) {
  taken[name, ++takes[name] % 9] = seconds
}

# The median of the last nine times of a step, or "" if it never ran.
function usually(name,  count, i, j, seconds, sorted) {
  count = takes[name] < 9 ? takes[name] + 0 : 9
  if (count == 0) return ""
  for (i = 1; i <= count; i++) {
    seconds = taken[name, (takes[name] - i + 1) % 9]
    for (j = i; j > 1 && sorted[j - 1] > seconds; j--) sorted[j] = sorted[j - 1]
    sorted[j] = seconds
  }
  return sorted[int((count + 1) / 2)]
}

function start(name) {
  if (!(name in state)) order[++started] = name
  since[name] = now
  state[name] = "running"
}

function stop(name, outcome) {
  state[name] = outcome
  ran[name] = now - since[name]
  # Ticks come once a second, so a shorter time says nothing.
  if (outcome == "passed" && ran[name] >= 2) {
    remember(name, ran[name])
    if (times != "") print ran[name], name >> times
  }
  delete since[name]
}

# The names of steps that run, newest last, in run[1…]; operations of Dagger if the module reports none.
function running(run,  i, count) {
  split("", run)
  for (i = 1; i <= started; i++) if (order[i] in since && !(order[i] in operation)) run[++count] = order[i]
  if (count + reports > 0) return count + 0
  for (i = 1; i <= started; i++) if (order[i] in since) run[++count] = order[i]
  return count + 0
}

# --- what the module reports --------------------------------------------------------------------

function reported(text,  word, count, name, outcome) {
  count = split(text, word, " ")
  name = word[1]
  if (name == "plan" && count == 2 && word[2] ~ /^[0-9]+$/) planned += word[2]
  else if (name == "run" && count == 2) {
    reports = 1
    start(word[2])
  }
  else if (name in since || (planned && word[2] == "skipped:")) {
    outcome = word[2] == "could" ? "could not run" : word[2]
    sub(/:$/, "", outcome)
    if (text ~ / \(remembered\)$/) delete since[name]
    if (!(name in since)) {
      since[name] = now
      if (!(name in state)) order[++started] = name
    }
    stop(name, outcome)
    tally[outcome]++
    completed++
    sub(/^[^ ]+ /, "", text)
    ended(name, outcome, text, outcome == "passed" && (text ~ / \(remembered\)$/ || text ~ / in ([0-9]+ ms|0\.[0-9]+ s)$/))
  } else say(text)
}

# How many gates have ended, for example `5 of 62 gates done, 1 failed`.
function counts(  text) {
  if (planned) text = (completed + 0) " of " planned " gates done"
  else text = (done + 0) " " (done == 1 ? "step" : "steps") " done"
  if (tally["failed"]) text = text ", " tally["failed"] " failed"
  if (tally["could not run"]) text = text ", " tally["could not run"] " could not run"
  return text
}

# --- what `up` publishes ------------------------------------------------------------------------

function publish(addresses,  url, count, i, port, text, sign) {
  # What a function of the module serves is no service of the catalogue, and need not speak HTTP.
  if (ENVIRON["DAGGERW_CALL"] ~ /(^| )call /) gsub(/https?:\/\//, "", addresses)
  else read_catalog()
  count = split(addresses, url, " ")
  for (i = 1; i <= count; i++) {
    port = after(":", url[i])
    sub(/.*:/, "", port)
    text = text (text == "" ? "" : "\n") "ready: " url[i] (port in service ? "  " service[port] : "")
    if (port in service && (service[port] in signs_in || backend[service[port]] in signs_in)) sign = sign (sign == "" ? "" : " and ") service[port]
  }
  if (sign != "" && user != "") text = text "\nSign in to " sign " as " user " with the password " password "."
  published_at = now
  published(text "\nCtrl-C stops " (count == 1 ? "it." : "them."))
}

# Names, ports and backends of the services, and the login that their setup makes.
function read_catalog(  line, name) {
  if (catalog == "" || name_known) return
  name_known = 1
  while ((getline line < catalog) > 0) {
    if (line ~ /^  [a-z0-9-]+:$/) name = substr(line, 3, length(line) - 3)
    if (line ~ /^    port: /) service[after(": *", line)] = name
    if (line ~ /^    backend: /) backend[name] = after(": *", line)
    if (line ~ /[$]SETUP_USER/ && line !~ /^ *#/) signs_in[name] = 1
  }
  close(catalog)
  while ((getline line < logins) > 0) {
    if (line ~ /^export const setupUser = "/) user = quoted(line)
    if (line ~ /^export const setupPassword = "/) password = quoted(line)
  }
  close(logins)
}

# A name without its dashes: Dagger calls the checks of f1-backend f-1-backend.
function bare(name) {
  gsub(/-/, "", name)
  return name
}

function quoted(text) {
  sub(/^[^"]*"/, "", text)
  sub(/".*/, "", text)
  return text
}

# --- source that does not compile ---------------------------------------------------------------

# Finds what esbuild says about the module's source, for the first fault: `✘ [ERROR] why`, and then the
# place on a line of its own, or `file:line:column: ERROR: why` on one line.
function compiled(text,  place) {
  if (fault != "") return
  if (match(text, /\[ERROR\] /)) {
    why = substr(text, RSTART + RLENGTH)
    return
  }
  if (match(text, /[^ ]+\.ts:[0-9]+:[0-9]+:( ERROR: .*)?$/) == 0) return
  place = substr(text, RSTART, RLENGTH)
  if (match(place, / ERROR: .*/)) why = substr(place, RSTART + 8)
  if (why == "") return
  sub(/:[0-9]+:( ERROR: .*)?$/, "", place)
  sub(/^.*dagger\/src\//, "src/", place)
  fault = "dagger/" place ": " why
}

# --- the lines ----------------------------------------------------------------------------------

# A tick may have been written into the middle of a line.
/\001[0-9]+( [0-9]+ [0-9]+)?$/ {
  match($0, /\001[0-9 ]+$/)
  half = half substr($0, 1, RSTART - 1)
  split(substr($0, RSTART + 1), tick, " ")
  now = tick[1] + 0
  rows = tick[2] + 0
  columns = tick[3] + 0
  ticked()
  next
}

half != "" {
  $0 = half $0
  half = ""
}

# The engine's manager reports which images it makes, for whichever call needs them.
/^pitwall: making / {
  image = $3
  if (!connected || index(needed, image) || building > 0) say($0)
  next
}
/^pitwall: / {
  say($0)
  next
}

# The last thing that the CLI prints is its error.
/^Error: / {
  error = substr($0, 8)
  sub(/^(rpc error: code = [A-Za-z]+ desc = )+/, "", error)
  sub(/ \[traceparent:[0-9a-f-]+\]$/, "", error)
  inside = "error"
  next
}

# A step of the tree: `12  : ┆ name`, `12  : ┆ name DONE [1.0s]`, `12  : ┆ [1.0s] | printed`, `12  : ! why`.
/^([0-9]   |[0-9][0-9]  |[0-9][0-9][0-9] |[0-9][0-9][0-9][0-9]+): / {
  # The tree goes on, so what looked like the final error was a line of a message in it.
  if (inside == "error") error = ""
  id = $0
  sub(/ *: .*/, "", id)
  text = after("^[0-9]+ *: ", $0)
  top = text !~ /^┆/
  sub(/^(┆ )+/, "", text)
  if (text ~ /^\[[0-9a-z.]+\] \|/) {
    inside = ""
    printed = after("^\\[[0-9a-z.]+\\] \\| ?", text)
    compiled(printed)
    if (top && printed ~ /^\[pitwall\] /) {
      module_runs = 1
      reported(substr(printed, 11))
    } else if (printed ~ /^\[pitwall\] [a-z0-9-]+:[a-z-]+ skipped: /) {
      # A check that its gate skips succeeds, as far as Dagger knows.
      split(printed, word, " ")
      skips[bare(word[2])] = after("^[^ ]+ [^ ]+ skipped: ", printed)
    } else if (printed ~ /tunnel started .* https?_url=/) {
      sub(/.* https?_url=/, "", printed)
      sub(/ .*/, "", printed)
      publish(printed)
    }
    # The CLI starts the engine with a runtime's client, and its error hides what the client says.
    if (id in client && printed ~ /[Ee]rror/) refusal = printed
  } else if (text ~ /^! /) {
    inside = top ? "cause" : "detail"
    if (top) cause = cause (cause == "" ? "" : "\n") substr(text, 3)
  } else {
    inside = ""
    if (text ~ /^exec (docker|podman|finch|nerdctl|container) /) client[id]
    if (match(text, / (DONE|CACHED|ERROR) \[[0-9a-z.]+\]/)) {
      done++
      outcome = substr(text, RSTART + 1, RLENGTH - 1)
      name = substr(text, 1, RSTART - 1)
      if (name == "connect") connected = 1
      if (name ~ /^Directory.dockerBuild/ && building > 0) building--
      if (id in operation_of) {
        # Two operations of one name are one step, which ends with the last one.
        if (--operation[operation_of[id]] == 0) stop(operation_of[id], outcome ~ /^DONE/ ? "passed" : "ended")
        delete operation_of[id]
      }
      if (top && name ~ /^[a-z0-9-]+(:[a-z0-9-]+)+$/) {
        sub(/^DONE/, "passed", outcome)
        sub(/^CACHED/, "passed", outcome)
        sub(/^ERROR/, "failed", outcome)
        gsub(/[][]/, "", outcome)
        sub(/^[a-z0-9-]+:/, "", name)
        if (outcome ~ /^passed/ && bare(name) in skips) {
          if (name in since) stop(name, "skipped")
          tally["skipped"]++
          ended(name, "skipped", "skipped: " skips[bare(name)], 0)
          next
        }
        if (name in since) stop(name, substr(outcome, 1, 6))
        tally[substr(outcome, 1, 6)]++
        ended(name, substr(outcome, 1, 6), outcome, 0)
      }
    } else if (text ~ /^ready http/) publish(after("^ready ", text))
    else {
      if (text ~ /^Directory.dockerBuild/) building++
      if (text ~ /Container.from\(address: /) needed = needed text
      if (top && text ~ /^[a-z0-9-]+(:[a-z0-9-]+)+$/) {
        sub(/^[a-z0-9-]+:/, "", text)
        if (!(text in since)) start(text)
      } else if (text ~ /^(withExec |exec |[A-Z][A-Za-z]*\.[a-z])/ && text !~ /^(Container|Directory|File|Host|Missing|Service|Workspace)\./) {
        step = substr(text, 1, 80)
        if (text ~ /^(withExec|exec) / && !(id in operation_of)) {
          operation_of[id] = step
          if (operation[step]++ == 0) start(step)
        }
      }
    }
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
  compiled($0)
  sub(/ \[traceparent:[0-9a-f-]+\]$/, "")
  error = error "\n" $0
  next
}
inside == "cause" {
  compiled($0)
  cause = cause "\n" $0
  next
}
inside == "detail" {
  compiled($0)
  next
}

# Arguments that the CLI takes from .env, which it names at each function.
/^user default: / { next }

# The CLI's own records.
/^([0-9][0-9][0-9][0-9]\/[0-9][0-9]\/[0-9][0-9] )?[0-9][0-9]:[0-9][0-9]:[0-9][0-9] (DEBUG|INFO|WARN|DBG|INF|WRN) / { next }

# Anything else comes from outside the tree, such as a container runtime's client.
/[^ ]/ { say($0) }

END {
  finish()
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
  # Once the module runs, such lines come from the tests of somebody else.
  if (error != "" && fault != "" && !module_runs) print "Error: " fault
}
