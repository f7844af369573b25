/** Small drawings that stand beside words; who cannot see them misses nothing. */

const drawings = {
  check: "M3 8.5l3.2 3.2L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  bolt: "M9 1.5L3.5 9H8l-1 5.5L12.5 7H8z",
  clock: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3.2l2 1.3",
  run: "M8 4.2a3.8 3.8 0 100 7.6 3.8 3.8 0 000-7.6z",
  alert: "M8 2L1.5 13.5h13zM8 6.5v3.2M8 11.4v.4",
  logo: "M2 4h12M2 8h8M2 12h10",
  gear: "M2 5h7M13 5h1M11 3v4M2 11h1M7 11h7M5 9v4",
  open: "M6 3H3v10h10v-3M9 3h4v4M13 3L7 9",
  down: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3 13.5h10",
} as const;

export type Drawing = keyof typeof drawings;

export function Icon({ of, size = 16 }: { of: Drawing; size?: number }) {
  return (
    <svg class={`icon ${of}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={drawings[of]}
        fill={of === "run" ? "currentColor" : "none"}
        stroke="currentColor"
        stroke-width="1.7"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
