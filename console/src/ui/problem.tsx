/** What went wrong with what somebody just did, said at once; nothing where all is well. */
export function Problem({ text }: { text: string | null }) {
  return text === null ? null : (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}
