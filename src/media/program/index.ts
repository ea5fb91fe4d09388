export { ProgramEndpoint } from './program-endpoint.js';
