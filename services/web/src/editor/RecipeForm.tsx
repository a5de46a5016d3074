import { zodResolver } from "@hookform/resolvers/zod"
import { ApiError, explain } from "@f1/frontend-kit"
import { useEffect, useState } from "react"
import { useFieldArray, useForm, useWatch, type Control } from "react-hook-form"
import { Link } from "react-router"
import type { Recipe } from "../api/api.tsx"
import { useSaveRecipe } from "../api/queries.ts"
import { useSession } from "../auth/session.ts"
import { TagChips } from "../browse/TagChips.tsx"
import { Conflict } from "./Conflict.tsx"
import { Field, TextField } from "./Field.tsx"
import {
  emptyFields,
  fieldsOf,
  inputOf,
  recipeForm,
  serverErrors,
  tagsOf,
  type FormFields,
  type FormResult,
} from "./form.ts"
import { LeaveGuard } from "./LeaveGuard.tsx"
import { Lines } from "./Lines.tsx"

interface Props {
  /** The recipe to edit; none for a new one. */
  recipe?: Recipe
  onSaved: (recipe: Recipe) => void
}

/** Writes a recipe. Nothing typed is ever lost: not to an error, a conflict or an ended session. */
export function RecipeForm({ recipe, onSaved }: Props) {
  // The version that the changes are based on; after a conflict it may be a later one.
  const [base, setBase] = useState(recipe)
  const save = useSaveRecipe(base)
  const form = useForm<FormFields, unknown, FormResult>({
    resolver: zodResolver(recipeForm),
    defaultValues: recipe ? fieldsOf(recipe) : emptyFields,
  })
  const { register, control, formState, handleSubmit, setError, setValue, reset } = form
  const { errors } = formState
  const steps = useFieldArray({ control, name: "steps" })
  const ingredients = useFieldArray({ control, name: "ingredients" })
  const session = useSession()
  const conflict = save.error instanceof ApiError && save.error.status === 412

  const submit = handleSubmit((fields) => {
    save.mutate(inputOf(fields), {
      onError(error) {
        for (const { path, message } of serverErrors(error))
          setError(path, { message }, { shouldFocus: true })
      },
    })
  })

  // After the render in which nothing is unsaved any more, so that the way on is free.
  const { data: result } = save
  useEffect(() => {
    if (result) onSaved(result)
  }, [result, onSaved])

  return (
    <form className="editor" onSubmit={submit} noValidate>
      <LeaveGuard active={formState.isDirty && !save.isSuccess} />
      {!session && (
        <p className="form-error" role="alert">
          Your session has ended.{" "}
          <Link to="/sign-in" target="_blank">
            Sign in in a new tab
          </Link>
          , then save here: your text stays.
        </p>
      )}
      {conflict && base && (
        <Conflict
          base={base}
          onKeepMine={setBase}
          onTakeTheirs={(theirs) => {
            setBase(theirs)
            reset(fieldsOf(theirs))
            save.reset()
          }}
        />
      )}
      {save.error && !conflict && (
        <p className="form-error" role="alert">
          {errors.root?.message ?? explain(save.error).text}
        </p>
      )}
      <fieldset className="block">
        <legend>The dish</legend>
        <Field label="Title" required error={errors.title?.message} {...register("title")} />
        <TextField
          label="Summary"
          required
          hint="What it is and why one would cook it, in a sentence or two."
          error={errors.summary?.message}
          {...register("summary")}
        />
        <div className="pair">
          <Field
            label="Minutes"
            required
            hint="From start to table."
            inputMode="numeric"
            error={errors.minutes?.message}
            {...register("minutes")}
          />
          <Field
            label="Servings"
            required
            hint="People it feeds."
            inputMode="numeric"
            error={errors.servings?.message}
            {...register("servings")}
          />
        </div>
        <div>
          <Field
            label="Tags"
            hint="Separated by commas."
            error={errors.tags?.message}
            {...register("tags")}
          />
          <TagSuggestions
            control={control}
            onChange={(text) => {
              setValue("tags", text, { shouldDirty: true })
            }}
          />
        </div>
        <Field
          label="Address of a photo"
          hint="Optional. Without one, the recipe gets a drawing."
          inputMode="url"
          placeholder="https://"
          error={errors.photo_url?.message}
          {...register("photo_url")}
        />
      </fieldset>

      <Lines
        legend="Ingredients"
        what="ingredient"
        list={ingredients}
        onAdd={(index) => {
          ingredients.append({ quantity: "", name: "" }, { focusName: `ingredients.${index}.quantity` })
        }}
      >
        {(index) => (
          <>
            <Field
              label={`Quantity of ingredient ${index + 1}`}
              hideLabel
              placeholder="How much"
              error={errors.ingredients?.[index]?.quantity?.message}
              {...register(`ingredients.${index}.quantity`)}
            />
            <Field
              label={`Ingredient ${index + 1}`}
              hideLabel
              placeholder="Of what"
              error={errors.ingredients?.[index]?.name?.message}
              {...register(`ingredients.${index}.name`)}
            />
          </>
        )}
      </Lines>

      <Lines
        legend="Method"
        what="step"
        list={steps}
        onAdd={(index) => {
          steps.append({ text: "" }, { focusName: `steps.${index}.text` })
        }}
      >
        {(index) => (
          <TextField
            label={`Step ${index + 1}`}
            hideLabel
            placeholder={index === 0 ? "Bring a large pot of water to the boil…" : "Then…"}
            error={errors.steps?.[index]?.text?.message}
            {...register(`steps.${index}.text`)}
          />
        )}
      </Lines>

      <div className="editor-actions">
        <button type="submit" className="kit-button" disabled={save.isPending}>
          {save.isPending ? "Saving…" : recipe ? "Save changes" : "Publish recipe"}
        </button>
        <Link className="button-plain" to={recipe ? `/recipes/${recipe.slug}` : "/"}>
          Cancel
        </Link>
      </div>
    </form>
  )
}

/** Tags that other recipes have, to be put into the field or taken out. */
function TagSuggestions({
  control,
  onChange,
}: {
  control: Control<FormFields, unknown, FormResult>
  onChange: (text: string) => void
}) {
  const chosen = tagsOf(useWatch({ control, name: "tags" }))
  return (
    <TagChips
      label="Tags in use"
      chosen={chosen}
      onToggle={(name) => {
        onChange(
          (chosen.includes(name) ? chosen.filter((tag) => tag !== name) : [...chosen, name]).join(", "),
        )
      }}
    />
  )
}
