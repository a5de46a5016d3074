import { useRegisterSW } from "virtual:pwa-register/react"

/** Registers the service worker, and offers a new version of the app when there is one. */
export function UpdateNotice() {
  const {
    needRefresh: [needed, setNeeded],
    updateServiceWorker,
  } = useRegisterSW()
  return (
    <div role="status" className="notice" hidden={!needed}>
      {needed && (
        <>
          <p>There is a new version of Al Dente.</p>
          <button type="button" className="kit-button" onClick={() => void updateServiceWorker(true)}>
            Use it
          </button>
          <button
            type="button"
            className="button-plain"
            onClick={() => {
              setNeeded(false)
            }}
          >
            Later
          </button>
        </>
      )}
    </div>
  )
}
