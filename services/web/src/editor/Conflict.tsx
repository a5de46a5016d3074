import { explain, Loading } from "@f1/frontend-kit"
import { useQuery } from "@tanstack/react-query"
import { body, useApi, type Recipe } from "../api/api.tsx"
import { changesBetween } from "./form.ts"

interface Props {
  /** The version that the changes were based on. */
  base: Recipe
  /** Goes on with the text in the form, as a change of their version. */
  onKeepMine: (theirs: Recipe) => void
  onTakeTheirs: (theirs: Recipe) => void
}

/** Someone else saved first: says what they changed, and lets the writer decide. */
export function Conflict({ base, onKeepMine, onTakeTheirs }: Props) {
  const api = useApi()
  const { slug, version } = base
  const theirs = useQuery({
    queryKey: ["conflict", slug, version],
    queryFn: ({ signal }) => body(api.GET("/api/recipes/{slug}", { params: { path: { slug } }, signal })),
    gcTime: 0,
  })

  return (
    <section className="conflict" role="alert">
      <h2>Someone saved this recipe while you were writing</h2>
      {theirs.isPending && <Loading label="Loading their version" />}
      {theirs.error && <p>{explain(theirs.error).text}</p>}
      {theirs.data && <Choice {...{ base, onKeepMine, onTakeTheirs }} theirs={theirs.data} />}
    </section>
  )
}

function Choice({ base, theirs, onKeepMine, onTakeTheirs }: Props & { theirs: Recipe }) {
  const ready = base.version === theirs.version
  const changes = list.format(changesBetween(base, theirs))
  if (ready) return <p>Your text replaces theirs when you save.</p>
  return (
    <>
      <p>Your text is still here. They changed {changes || "nothing that this form shows"}.</p>
      <div className="dialog-actions">
        <button
          type="button"
          className="kit-button"
          onClick={() => {
            onKeepMine(theirs)
          }}
        >
          Keep my text
        </button>
        <button
          type="button"
          className="button-plain"
          onClick={() => {
            onTakeTheirs(theirs)
          }}
        >
          Take theirs, drop mine
        </button>
        <a className="text-link" href={`/recipes/${theirs.slug}`} target="_blank" rel="noreferrer">
          See theirs in a new tab
        </a>
      </div>
    </>
  )
}

const list = new Intl.ListFormat("en-GB")
