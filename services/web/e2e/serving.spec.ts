import { describeServing } from "@f1/frontend-kit/e2e"

describeServing("/api")
