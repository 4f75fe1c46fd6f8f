// "Did you mean": the known word that is nearest to a wrong one.
#pragma once

#include <string>
#include <vector>

#include "cli/reference.h"

namespace tca::cli {

/// The nearest of the words, by letters to change, insert, leave out or swap, or the only one that begins so; empty
/// when none is near.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);
/// One line about words of the command line that nobody takes: "unknown option '--kep'; did you mean '--keep'?".
/// command: the one that was chosen, or null. Empty when there is nothing to say.
std::string unknown_word_message(const std::vector<std::string>& words, const ProgramReference& program,
                                 const CommandReference* command);

}  // namespace tca::cli
