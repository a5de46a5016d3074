# The view without a terminal: a line for each gate, check or published service, and a sign of life
# every 30 seconds. Gates that an earlier run has the result of are counted, since the table lists them.
BEGIN { quiet = 30; shown = began + 0 }

function say(text) {
  print text
  fflush()
  shown = now
  seen = done
}

function ended(name, outcome, text, again,  reason) {
  if (again) {
    remembered++
    return
  }
  # Gates of one kind are skipped for one reason, which is said once.
  reason = outcome == "skipped" ? substr(text, 1, 40) : ""
  if (reason == "" || !(reason in reasons)) say(name " " text)
  if (reason != "") reasons[reason] = 1
}

function published(text) {
  say(text)
}

function ticked(  count, i, run, text, usual) {
  # Published services run until somebody stops them, so only progress counts from then on.
  if (now - shown < quiet || (published_at && done == seen)) return
  count = running(run)
  for (i = 1; i <= count && i <= 8; i++) {
    usual = usually(run[i])
    text = text (text == "" ? "" : ", ") run[i] " " clock(now - since[run[i]]) (usual == "" ? "" : " (usually " clock(usual) ")")
  }
  if (count > 8) text = text ", and " (count - 8) " more"
  say("daggerw: " clock(now - began) ", " counts() (text != "" ? ", running: " text : step != "" ? ", last started: " step : ""))
}

function finish() {
  if (remembered) say("daggerw: " remembered (planned ? " of " planned : "") (remembered == 1 && !planned ? " gate" : " gates") " passed at once: unchanged since an earlier run, or quick")
}
