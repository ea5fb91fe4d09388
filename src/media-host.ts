import './app/media-host.js';
