// Documents with planted facts in the form of task files, for other programs and for another day.
#pragma once

#include "core/json.h"
#include "evaluation/lookup_tasks.h"
#include "runtime/chat/chat_frames.h"

namespace tca::evaluation {

/// A row of such a file, which parse_task_file() reads: the document's text without the chat form, each question with
/// its kind as the task; besides, for programs that are to read the very same tokens, the ids of both with it. Answers
/// are scored as answer_found() does, those of several values by their share.
nlohmann::json task_row(const LookupDocument& document, const runtime::ChatFrames& chat);

}  // namespace tca::evaluation
