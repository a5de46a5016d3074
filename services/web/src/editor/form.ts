import { ApiError } from "@f1/frontend-kit"
import * as z from "zod/mini"
import type { Recipe, RecipeInput } from "../api/api.tsx"

const line = (longest: number, missing: string) =>
  z.pipe(
    z.pipe(z.string(), z.transform(oneLine)),
    z.string().check(z.minLength(1, missing), z.maxLength(longest, `Keep it to ${longest} characters.`)),
  )

const number = (most: number, what: string) =>
  z.pipe(
    z.string(),
    z.pipe(
      z.transform((text: string) => (/^\d+$/.test(text.trim()) ? Number(text) : NaN)),
      z
        .number(`Give ${what} as a whole number.`)
        .check(z.minimum(1, `Give ${what} as a whole number from 1.`), z.maximum(most, `At most ${most}.`)),
    ),
  )

/** What the form holds: the fields as typed. Its output is what the API takes. */
export const recipeForm = z.object({
  title: line(120, "Give the recipe a title."),
  summary: line(500, "Say in a sentence or two what it is."),
  photo_url: z.pipe(
    z.string(),
    z.pipe(
      z.transform((text: string) => text.trim() || null),
      z.nullable(
        z
          .string()
          .check(
            z.maxLength(500, "Keep the address to 500 characters."),
            z.regex(
              /^(\/[\w-][\w./~-]*|https:\/\/[^\s<>"']+)$/,
              "Give an address that starts with https://.",
            ),
          ),
      ),
    ),
  ),
  tags: z.pipe(
    z.string(),
    z.pipe(
      z.transform(tagsOf),
      z
        .array(
          z
            .string()
            .check(
              z.maxLength(30, "Keep each tag to 30 characters."),
              z.regex(
                /^[a-z0-9]+(-[a-z0-9]+)*$/,
                "Tags are words of plain letters and digits, such as one-pot.",
              ),
            ),
        )
        .check(z.maxLength(10, "At most 10 tags.")),
    ),
  ),
  minutes: number(10_080, "the time"),
  servings: number(100, "the servings"),
  ingredients: z
    .array(
      z.object({
        quantity: z.pipe(
          z.string(),
          z.pipe(
            z.transform((text: string) => oneLine(text) || null),
            z.nullable(z.string().check(z.maxLength(60, "Keep it to 60 characters."))),
          ),
        ),
        name: line(200, "Name the ingredient, or remove the line."),
      }),
    )
    .check(z.minLength(1, "A recipe needs an ingredient."), z.maxLength(60, "At most 60 ingredients.")),
  steps: z
    .array(z.object({ text: line(2000, "Describe the step, or remove it.") }))
    .check(z.minLength(1, "A recipe needs a step."), z.maxLength(40, "At most 40 steps.")),
})

export type FormFields = z.input<typeof recipeForm>
export type FormResult = z.output<typeof recipeForm>

export const emptyFields: FormFields = {
  title: "",
  summary: "",
  photo_url: "",
  tags: "",
  minutes: "30",
  servings: "4",
  ingredients: [
    { quantity: "400 g", name: "" },
    { quantity: "", name: "" },
  ],
  steps: [{ text: "" }],
}

/** A recipe as the form shows it. */
export function fieldsOf(recipe: RecipeInput): FormFields {
  return {
    title: recipe.title,
    summary: recipe.summary,
    photo_url: recipe.photo_url ?? "",
    tags: (recipe.tags ?? []).join(", "),
    minutes: String(recipe.minutes),
    servings: String(recipe.servings),
    ingredients: recipe.ingredients.map(({ quantity, name }) => ({ quantity: quantity ?? "", name })),
    steps: recipe.steps.map((text) => ({ text })),
  }
}

/** A checked form as the API takes it. */
export function inputOf({ steps, ...rest }: FormResult): RecipeInput {
  return { ...rest, steps: steps.map(({ text }) => text) }
}

/** The tags in a text, between commas, in the form that the API takes: "One pot, quick" is one-pot and quick. */
export function tagsOf(text: string): string[] {
  const tags = text.split(",").map((tag) => tag.trim().toLowerCase().replaceAll(/\s+/g, "-"))
  return [...new Set(tags.filter(Boolean))]
}

const labels = {
  title: "the title",
  summary: "the summary",
  photo_url: "the photo",
  tags: "the tags",
  minutes: "the time",
  servings: "the servings",
  ingredients: "the ingredients",
  steps: "the steps",
} satisfies Record<keyof FormFields, string>

/** What differs between two versions of a recipe, in words. */
export function changesBetween(before: Recipe, after: Recipe): string[] {
  const [a, b] = [fieldsOf(before), fieldsOf(after)]
  return Object.entries(labels)
    .filter(
      ([field]) =>
        JSON.stringify(a[field as keyof FormFields]) !== JSON.stringify(b[field as keyof FormFields]),
    )
    .map(([, label]) => label)
}

export type FieldPath =
  | Exclude<keyof FormFields, "ingredients" | "steps">
  | `ingredients.${number}.${"quantity" | "name"}`
  | `steps.${number}.text`
  | "root"

/** What the server found wrong, by the field of the form that it is about; what is about none is under `root`. */
export function serverErrors(error: unknown): { path: FieldPath; message: string }[] {
  if (!(error instanceof ApiError) || error.status !== 422) return []
  return (error.problem.errors ?? []).flatMap((entry) => {
    const { location, message } = (entry ?? {}) as { location?: unknown; message?: unknown }
    if (typeof location !== "string" || typeof message !== "string") return []
    return { path: fieldAt(location), message }
  })
}

function fieldAt(location: string): FieldPath {
  const path = location.replace(/^body\./, "")
  if (/^steps\.\d+$/.test(path)) return `${path}.text` as FieldPath
  if (/^ingredients\.\d+\.(quantity|name)$/.test(path)) return path as FieldPath
  const [field = ""] = path.split(".")
  return Object.hasOwn(labels, field) && field !== "steps" && field !== "ingredients"
    ? (field as FieldPath)
    : "root"
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ")
}
