import { Link } from "react-router"
import { teamColor } from "../teams.ts"
import "./marks.css"

/** Whether the favourite won: a sign and a word, never colour alone. */
export function HitMark({ hit }: { hit: boolean | null }) {
  if (hit === null) return <span className="hit-mark">–</span>
  return hit ? (
    <span className="hit-mark hit">
      <span aria-hidden="true">●</span> called it
    </span>
  ) : (
    <span className="hit-mark">
      <span aria-hidden="true">○</span> missed
    </span>
  )
}

interface Named {
  id: string
  name: string
}

/** A driver's name, linked to the page about them. */
export function DriverLink({ driver }: { driver: Named }) {
  return <Link to={`/drivers/${driver.id}`}>{driver.name}</Link>
}

/** A constructor's name with its colour, linked to the page about it. */
export function TeamLink({ team }: { team: Named }) {
  return (
    <span className="team">
      <TeamMark id={team.id} />
      <Link to={`/constructors/${team.id}`}>{team.name}</Link>
    </span>
  )
}

/** A bar in a constructor's colour; decoration beside its name. */
export function TeamMark({ id }: { id: string }) {
  return <span className="team-mark" style={{ background: teamColor(id) }} aria-hidden="true" />
}

/** Says that what is shown was made up by the simulator. */
export function DemoNotice() {
  return (
    <p className="demo-notice">
      <strong>Demonstration data.</strong> These races come from the simulator: the results are fictional.
    </p>
  )
}
