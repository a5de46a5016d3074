import { expect, test } from "vitest"
import { scaleQuantity } from "./quantities.ts"

test.each([
  ["400 g", 1, "400 g"],
  ["400 g", 0.5, "200 g"],
  ["400 g", 1.25, "500 g"],
  ["320g", 1.5, "480g"],
  ["70 g", 0.25, "18 g"],
  ["5 g", 0.25, "1.25 g"],
  ["1.5 kg", 2, "3 kg"],
  ["1,5 l", 0.5, "0.75 l"],
  ["100 ml", 1 / 3, "33 ml"],
  ["0.1 g", 0.1, "0.05 g"],
  ["1 tsp", 0.5, "½ tsp"],
  ["1/2 tsp", 2, "1 tsp"],
  ["½ tsp", 0.5, "¼ tsp"],
  ["1 1/2 tbsp", 2, "3 tbsp"],
  ["1½ tbsp", 1.5, "2¼ tbsp"],
  ["2 tbsp", 4 / 3, "2⅔ tbsp"],
  ["1 tsp", 0.01, "⅛ tsp"],
  ["3", 0.65, "2"],
  ["9", 1.25, "11"],
  ["2–3 cloves", 2, "4–6 cloves"],
  ["1 to 2", 0.5, "½ to 1"],
  ["2 x 400 g tins", 2, "4 x 400 g tins"],
  ["about 2 handfuls", 0.5, "about 1 handfuls"],
  ["a pinch", 3, "a pinch"],
  ["2 grapefruits", 1.5, "3 grapefruits"],
])("%s times %d is %s", (quantity, factor, scaled) => {
  expect(scaleQuantity(quantity, factor)).toBe(scaled)
})
