// Runs before the first paint, so that a stored choice never flashes the other theme.
{
  let choice = null
  try {
    choice = localStorage.getItem("theme")
  } catch {
    // Storage is closed to this page: follow the system.
  }
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches)
  document.documentElement.dataset.theme = dark ? "dark" : "light"
}
