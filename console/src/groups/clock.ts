const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** "16:49:03" in the browser's own zone. */
export const clockOf = (time: number): string => TIME.format(time);
