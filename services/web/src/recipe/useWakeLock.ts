import { useEffect, useState } from "react"

/**
 * Keeps the screen on while `wanted` and the page is looked at. Browsers let go of the lock when the page is hidden, so it is
 * asked for again. Says whether the screen is held now: not every device can or will.
 */
export function useWakeLock(wanted: boolean): boolean {
  const [held, setHeld] = useState(false)
  useEffect(() => {
    if (!wanted || !("wakeLock" in navigator)) return
    let left = false
    let lock: WakeLockSentinel | undefined

    async function acquire() {
      if (document.visibilityState !== "visible") return
      try {
        const acquired = await navigator.wakeLock.request("screen")
        if (left) return void acquired.release()
        lock = acquired
        setHeld(true)
        acquired.addEventListener("release", () => {
          setHeld(false)
        })
      } catch {
        // Refused, as on a low battery: the page says that the screen is not held.
        setHeld(false)
      }
    }

    const visible = () => void acquire()
    document.addEventListener("visibilitychange", visible)
    void acquire()
    return () => {
      left = true
      document.removeEventListener("visibilitychange", visible)
      void lock?.release()
    }
  }, [wanted])
  return held
}
