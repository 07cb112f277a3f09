const SIZE = 1 << 19;
const MOST_OF_A_ROW = 1 << 12;

/** Bytes that are written one after the other, integers in network order. */
export interface Bytes {
  int16(value: number): void;
  int32(value: number): void;
  raw(value: Buffer): void;
  /** The length of a field, and then the field; null has the length -1. */
  field(value: Buffer | null): void;
  /** A field of 8 bytes: a whole number from 0 to 2⁵³ - 1. */
  field64(value: number | null): void;
  /** Whether there may be no room for another row of 4 KiB. */
  isFull(): boolean;
  /** What was written, until something else is: it begins anew. */
  take(): Buffer;
}

/** Makes an empty one. */
export function createBytes(): Bytes {
  const buffer = Buffer.allocUnsafe(SIZE);
  let end = 0;
  const int32 = (value: number): void => {
    end = buffer.writeInt32BE(value, end);
  };
  const raw = (value: Buffer): void => {
    end += value.copy(buffer, end);
  };
  return {
    int16: (value) => {
      end = buffer.writeInt16BE(value, end);
    },
    int32,
    raw,
    field: (value) => {
      int32(value?.length ?? -1);
      if (value) raw(value);
    },
    field64: (value) => {
      int32(value === null ? -1 : 8);
      if (value === null) return;
      end = buffer.writeUInt32BE(Math.floor(value / 2 ** 32), end);
      end = buffer.writeUInt32BE(value % 2 ** 32, end);
    },
    isFull: () => end > SIZE - MOST_OF_A_ROW,
    take: () => {
      const taken = buffer.subarray(0, end);
      end = 0;
      return taken;
    },
  };
}
