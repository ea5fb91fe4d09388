export { FileEndpoint } from './file-endpoint.js';
export { SampleFiles } from './sample-file.js';
