import { errorOf } from "../../../core/wire/errors.ts";

/** The answer, or null where the object is not there: it may have been deleted since it was listed. */
export async function there<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (thrown) {
    const { code } = errorOf(thrown);
    if (code === "topic_not_found" || code === "room_not_found") return null;
    throw thrown;
  }
}
