import type { Amounts } from "../platform/answers.ts";
import { bytes, whole } from "../ui/format.ts";

/** What of the account is drawn. */
export type Measure = "requests" | "rows" | "bytes";

type MeasureInfo = { label: string; of: (amounts: Amounts) => number; say: (value: number) => string };

export const MEASURES: Record<Measure, MeasureInfo> = {
  requests: { label: "Requests", of: ({ requests }) => requests, say: whole },
  rows: { label: "Rows", of: ({ rows }) => rows, say: whole },
  bytes: { label: "Bytes", of: ({ bytesIn, bytesOut }) => bytesIn + bytesOut, say: bytes },
};
