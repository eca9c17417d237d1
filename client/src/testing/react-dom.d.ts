// What the tests use of react-dom, which has no types of its own.
declare module "react-dom/client" {
  export function createRoot(host: Element): { render(element: unknown): void; unmount(): void };
}
