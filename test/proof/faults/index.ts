import type { Part } from "../part.ts";
import { diskFull } from "./disk-full.ts";
import { histories } from "./histories.ts";
import { restore } from "./restore.ts";
import { faults } from "./under-faults.ts";

/** Parts that compare what clients were answered with the journal, whatever happens meanwhile. */
export const faultParts: readonly Part[] = [histories, faults, diskFull, restore];
