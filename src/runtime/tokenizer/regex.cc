#include "runtime/tokenizer/regex.h"

#include <algorithm>
#include <ctime>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/check.h"
#include "runtime/tokenizer/regex_syntax.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {
namespace {

constexpr std::size_t kMaxPatternBytes = 16384;

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> compiled;
  bool has_jit = false;
};

namespace {

// One pass over one text. A match may take a number of steps linear in the text (greedy runs backtrack that far);
// all matches together may take processor time far above what any sensible expression needs (about 0.02 s per MB).
class Search {
 public:
  Search(const pcre2_code* code, bool has_jit, std::string_view text, const std::string& where)
      : code_(code),
        has_jit_(has_jit),
        text_(text),
        where_(where),
        context_(pcre2_match_context_create(nullptr)),
        data_(pcre2_match_data_create(1, nullptr)),
        start_seconds_(thread_cpu_seconds()),
        max_seconds_(5 + 20e-6 * static_cast<double>(text.size())) {
    if (!context_ || !data_) throw std::bad_alloc();
    const std::size_t limit = 1000000 + 8 * text.size();
    pcre2_set_match_limit(context_.get(), static_cast<std::uint32_t>(std::min<std::size_t>(limit, UINT32_MAX)));
  }

  bool find(std::size_t from, Range& match) {
    constexpr int kMatchesPerClockReading = 256;
    if (++count_ % kMatchesPerClockReading == 0 && thread_cpu_seconds() - start_seconds_ > max_seconds_) too_slow();
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (has_jit_) {
      result = pcre2_jit_match(code_, subject, text_.size(), from, 0, data_.get(), context_.get());
    }
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
      result = pcre2_match(code_, subject, text_.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(),
                           context_.get());
    }
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) too_slow();
    const std::size_t* ends = pcre2_get_ovector_pointer(data_.get());
    match = {ends[0], ends[1]};
    return true;
  }

 private:
  [[noreturn]] void too_slow() const {
    fail(ErrorCategory::kUnsupported,
         text(where_, ": the regular expression needs too many steps on this text of ", text_.size(), " bytes"));
  }

  const pcre2_code* code_;
  bool has_jit_;
  std::string_view text_;
  const std::string& where_;
  MatchContext context_;
  MatchData data_;
  double start_seconds_, max_seconds_;
  int count_ = 0;
};

}  // namespace

Regex::Regex(const std::string& pattern, std::string where) : where_(std::move(where)) {
  if (pattern.size() > kMaxPatternBytes) {
    fail(ErrorCategory::kUnsupported,
         text(where_, ": the regular expression is longer than ", kMaxPatternBytes, " bytes"));
  }
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  auto code = std::make_shared<Code>();
  code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &error, &offset,
                                     context.get()));
  if (!code->compiled) {
    unsigned char message[256] = "";
    pcre2_get_error_message(error, message, sizeof(message));
    fail(ErrorCategory::kBadFile, text(where_, ": the regular expression is broken: ",
                                       reinterpret_cast<const char*>(message), " (byte ", offset, ")"));
  }
  code->has_jit = pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE) == 0;
  code_ = std::move(code);
}

Regex Regex::parse(std::string_view pattern, const std::string& where) {
  return Regex(to_pcre2_syntax(pattern, where), where);
}

Regex Regex::literal(std::string_view text) { return Regex(quote_for_pcre2(text), "literal"); }

Regex Regex::word_character() {
  return Regex(text("[", newer_members("L"), newer_members("M"), newer_members("Nd"),
                    "\\x{200C}\\x{200D}\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"),
               "word character");
}

std::vector<Range> Regex::find_all(std::string_view text) const {
  std::vector<Range> matches;
  Search search(code_->compiled.get(), code_->has_jit, text, where_);
  std::size_t position = 0;
  Range match{};
  while (position <= text.size() && search.find(position, match)) {
    const bool repeats = match.size() == 0 && !matches.empty() && matches.back().end == match.end;
    if (repeats) {
      if (position == text.size()) break;
      next_code_point(text, position);
      continue;
    }
    matches.push_back(match);
    position = match.end;
  }
  return matches;
}

bool Regex::matches_somewhere(std::string_view text) const {
  Range match{};
  return Search(code_->compiled.get(), code_->has_jit, text, where_).find(0, match);
}

}  // namespace tca::runtime
