import { explain, ApiError } from "@f1/frontend-kit"
import { useMutation } from "@tanstack/react-query"
import { Navigate, useLocation, useNavigate } from "react-router"
import { body, useApi, type Credentials } from "../api/api.tsx"
import { usePageTitle } from "../layout/usePageTitle.ts"
import { Field } from "../editor/Field.tsx"
import { PastaRow } from "../art/PastaRow.tsx"
import { startSession, useSession } from "./session.ts"

export function SignInPage() {
  usePageTitle("Sign in")
  const api = useApi()
  const session = useSession()
  const navigate = useNavigate()
  const target = targetOf(useLocation().state)
  const signIn = useMutation({
    mutationFn: (credentials: Credentials) => body(api.POST("/api/auth/token", { body: credentials })),
    onSuccess({ access_token, expires_in }, { username }) {
      startSession({ token: access_token, username, expires: Date.now() + expires_in * 1000 })
      return navigate(target, { replace: true })
    },
  })

  if (session && signIn.isIdle) return <Navigate to={target} replace />
  return (
    <div className="sign-in">
      <PastaRow />
      <h1>Sign in</h1>
      <p className="lead">For the people who write the recipes.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          const form = new FormData(event.currentTarget)
          signIn.mutate({ username: text(form, "username"), password: text(form, "password") })
        }}
      >
        {signIn.isError && (
          <p className="form-error" role="alert">
            {reason(signIn.error)}
          </p>
        )}
        <Field
          label="Username"
          required
          autoComplete="username"
          name="username"
          autoCapitalize="none"
          maxLength={64}
        />
        <Field
          label="Password"
          required
          autoComplete="current-password"
          name="password"
          type="password"
          maxLength={256}
        />
        <button className="kit-button" type="submit" disabled={signIn.isPending}>
          {signIn.isPending ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </div>
  )
}

function reason(error: unknown): string {
  const refused = error instanceof ApiError && (error.status === 401 || error.status === 422)
  return refused ? "The username or the password is wrong." : explain(error).text
}

function text(form: FormData, name: string): string {
  const value = form.get(name)
  return typeof value === "string" ? value : ""
}

/** Where to go after signing in: where someone came from, within this app. */
function targetOf(state: unknown): string {
  const from = typeof state === "object" && state !== null && "from" in state ? state.from : undefined
  return typeof from === "string" ? from : "/"
}
