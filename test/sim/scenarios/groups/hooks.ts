/** Takes a method's place until it is put back: how the cores are watched without a trace of it in them. */
export type Undo = () => void;

/** `make` gets the method as it is and returns what to call instead; `this` is passed on as the first argument. */
export function replaceMethod<T extends object, K extends keyof T & string>(
  prototype: T,
  name: K,
  make: (original: (self: T, ...args: unknown[]) => unknown) => (self: T, ...args: never[]) => unknown,
): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (descriptor === undefined || typeof descriptor.value !== "function") throw new Error(`There is no method "${name}" to be replaced.`);
  const original = descriptor.value as (...args: unknown[]) => unknown;
  const replacement = make((self, ...args) => original.apply(self, args)) as (self: T, ...args: unknown[]) => unknown;
  Object.defineProperty(prototype, name, {
    ...descriptor,
    value(this: T, ...args: unknown[]) {
      return replacement(this, ...args);
    },
  });
  return () => Object.defineProperty(prototype, name, descriptor);
}

/** As {@link replaceMethod}, for a getter. */
export function replaceGetter<T extends object, K extends keyof T & string>(
  prototype: T,
  name: K,
  make: (original: (self: T) => T[K]) => (self: T) => T[K],
): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  const getter = descriptor?.get;
  if (descriptor === undefined || getter === undefined) throw new Error(`There is no getter "${name}" to be replaced.`);
  const replacement = make((self) => getter.call(self) as T[K]);
  Object.defineProperty(prototype, name, {
    ...descriptor,
    get(this: T) {
      return replacement(this);
    },
  });
  return () => Object.defineProperty(prototype, name, descriptor);
}
