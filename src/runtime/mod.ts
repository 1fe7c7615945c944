export { type DeviceReport, describeDevices } from "./devices.ts";
export { type EngineOptions, startEngine } from "./engine.ts";
export {
  type MemoryGroup,
  type MemoryPeak,
  type MemoryRoom,
  memoryGroups,
  memoryRoom,
  processMemory,
  watchMemory,
} from "./memory.ts";
export {
  type Blank,
  DEVICES,
  type Device,
  type Engine,
  type Fetch,
  type Fetched,
  type Held,
  type Memory,
  type Port,
  type Program,
  type ProgramSource,
} from "./types.ts";
