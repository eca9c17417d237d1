import type { ComponentChildren } from "preact";

function Icon({ children, size = 16 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const Sun = () => (
  <Icon>
    <circle cx="8" cy="8" r="3" />
    <path d="M8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M3.4 12.6l1.1-1.1M11.5 4.5l1.1-1.1" />
  </Icon>
);
export const Moon = () => (
  <Icon>
    <path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z" />
  </Icon>
);
export const Person = () => (
  <Icon>
    <circle cx="8" cy="5.4" r="2.6" />
    <path d="M2.8 13.6a5.3 5.3 0 0 1 10.4 0" />
  </Icon>
);
export const Down = () => (
  <Icon size={14}>
    <path d="m3.5 6 4.5 4.5L12.5 6" />
  </Icon>
);
export const Warning = () => (
  <Icon size={18}>
    <path d="M8 2.2 14.6 13.6H1.4zM8 6.6v3.2M8 11.7v.1" />
  </Icon>
);
export const Cross = () => (
  <Icon size={12}>
    <path d="m3.5 3.5 9 9m0-9-9 9" />
  </Icon>
);
export const Copy = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" />
  </Icon>
);
export const Check = () => (
  <Icon>
    <path d="m3 8.5 3.2 3.2L13 4.8" />
  </Icon>
);

/** The mark: a rock of an island above two lines of sea. */
export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path d="M4.5 18.5 12 8.3c.6-.8 1.7-.8 2.3 0l3.3 4.8 1.8-2.4c.6-.8 1.7-.7 2.3.1l5.8 7.7z" fill="var(--rock)" />
      <path
        d="M3 22c2.2 0 2.2 1.5 4.3 1.5S9.500 22 11.700 22s2.100 1.500 4.300 1.500S18.100 22 20.300 22s2.200 1.500 4.400 1.500S26.800 22 29 22M7.300 27c2.200 0 2.200 1.400 4.400 1.400s2.100-1.400 4.300-1.400 2.100 1.400 4.300 1.400 2.200-1.400 4.400-1.400"
        fill="none"
        stroke="var(--accent)"
        stroke-width="2"
        stroke-linecap="round"
      />
    </svg>
  );
}
