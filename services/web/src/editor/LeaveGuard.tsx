import { useEffect, useRef } from "react"
import { useBlocker } from "react-router"

/** While `active`, asks before the page is left: by a link, by Back, or by closing the tab. */
export function LeaveGuard({ active }: { active: boolean }) {
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => active && currentLocation.pathname !== nextLocation.pathname,
  )
  const dialog = useRef<HTMLDialogElement>(null)

  useEffect(() => {
    if (!active) return
    const ask = (event: BeforeUnloadEvent) => {
      event.preventDefault()
    }
    addEventListener("beforeunload", ask)
    return () => {
      removeEventListener("beforeunload", ask)
    }
  }, [active])

  useEffect(() => {
    if (blocker.state === "blocked") dialog.current?.showModal()
    else dialog.current?.close()
  }, [blocker.state])

  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="leave-title" onClose={() => blocker.reset?.()}>
      <h2 id="leave-title">Leave without saving?</h2>
      <p>What you wrote has not been saved.</p>
      <div className="dialog-actions">
        <button type="button" className="button-plain" onClick={() => blocker.proceed?.()}>
          Leave
        </button>
        <button type="button" className="kit-button" onClick={() => blocker.reset?.()}>
          Keep writing
        </button>
      </div>
    </dialog>
  )
}
