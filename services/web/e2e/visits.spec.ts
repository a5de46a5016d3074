import { describeVisits } from "@f1/frontend-kit/e2e"

describeVisits("/api/visits")
