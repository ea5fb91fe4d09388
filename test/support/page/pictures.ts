const WIDTH = 320;
const HEIGHT = 240;
const FRAMES_PER_SECOND = 20;

/** A video track with moving pictures, made without a camera; stops drawing with the track. */
export function pictureTrack(): MediaStreamTrack {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext('2d')!;
  let frame = 0;
  const timer = setInterval(() => {
    frame += 1;
    pen.fillStyle = `hsl(${String((frame * 7) % 360)} 80% 50%)`;
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.fillStyle = 'white';
    pen.fillRect((frame * 5) % WIDTH, (frame * 3) % HEIGHT, 40, 40);
  }, 1000 / FRAMES_PER_SECOND);
  const track = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks()[0]!;
  const stop = track.stop.bind(track);
  track.stop = () => {
    clearInterval(timer);
    stop();
  };
  return track;
}
