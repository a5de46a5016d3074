import { Navigate, Outlet, useLocation } from "react-router"
import { useState } from "react"
import { useSession } from "./session.ts"

/** Sends people who are not signed in to sign in first. Who was signed in stays, so that nothing written is lost. */
export function RequireSession() {
  const session = useSession()
  const [entered] = useState(session !== null)
  const { pathname } = useLocation()
  if (!session && !entered) return <Navigate to="/sign-in" state={{ from: pathname }} replace />
  return <Outlet />
}
