"""Files that are no videos are refused; of damaged ones there is what can be had."""

from __future__ import annotations

import av
import numpy as np
import pytest

from codeformer_core.errors import VideoError
from tests.video.clips import Clip, packets, pictures


def test_sound_alone_is_refused_with_a_word(tmp_path, same, restored):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="no moving pictures"):
        restored(path, same)


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
def test_files_that_are_no_videos_are_refused_with_their_name(content, tmp_path, same, restored):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        restored(path, same)


def test_a_file_that_is_cut_short_gives_what_there_is(tmp_path, white, restored):
    clip = Clip(count=40, options={"crf": "5", "g": "5"})
    source = clip.write(tmp_path / "clip.mkv")
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    result = restored(source, white)
    assert 5 < result.frames < 40
    assert pictures(result.path).shape[0] == result.frames


def test_a_damaged_frame_is_named_and_the_others_are_restored(tmp_path, white, restored):
    clip = Clip(count=30, options={"crf": "5", "g": "1"})
    source = clip.write(tmp_path / "clip.mkv")
    content = bytearray(source.read_bytes())
    place = content.find(packets(source, "video")[0][15][2])
    content[place + 4 : place + 400] = bytes(396)
    source.write_bytes(content)
    result = restored(source, white)
    assert result.frames >= 29
    assert any("damaged" in note and "0.6" in note for note in result.notes), result.notes
