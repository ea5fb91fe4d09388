export { addFigures, directionQuality, type StreamFigures } from './direction-quality.js';
export { ReceiverReports } from './receiver-reports.js';
export { SentNumbers } from './sent-numbers.js';
export { levelOf, SpeechDetector } from './speech-detector.js';
export { StreamLevel } from './stream-level.js';
