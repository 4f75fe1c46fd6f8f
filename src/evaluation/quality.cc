#include "evaluation/quality.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "evaluation/answers.h"
#include "evaluation/reads.h"

namespace tca::evaluation {
namespace {

using runtime::Session;

double log_sum_exp(std::span<const float> logits) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - top));
  return top + std::log(sum);
}

double log_prob(std::span<const float> logits, std::int32_t token) {
  return logits[static_cast<std::size_t>(token)] - log_sum_exp(logits);
}

// logits: rows [n, vocab] of what comes before each of n tokens. Threads share the rows; the sum is that of one thread.
double sum_log_probs(std::span<const float> logits, std::span<const std::int32_t> tokens, ThreadPool& pool) {
  const std::size_t vocab = logits.size() / tokens.size();
  std::vector<double> of_row(tokens.size());
  pool.parallel_for(std::ssize(tokens), [&](std::int64_t i, int) {
    const auto row = static_cast<std::size_t>(i);
    of_row[row] = log_prob(logits.subspan(row * vocab, vocab), tokens[row]);
  });
  return std::accumulate(of_row.begin(), of_row.end(), 0.0);
}

// logits: rows [n, vocab] of what comes before each of n answer tokens.
void add_tokens(std::span<const float> logits, std::span<const std::int32_t> answer, Score& score) {
  const std::size_t vocab = logits.size() / answer.size();
  for (std::size_t i = 0; i < answer.size(); ++i) {
    const auto row = logits.subspan(i * vocab, vocab);
    const auto guess = std::max_element(row.begin(), row.end()) - row.begin();
    score.tokens_right += guess == answer[i] ? 1 : 0;
    score.log_prob_sum += log_prob(row, answer[i]);
  }
  score.tokens += std::ssize(answer);
}

std::vector<std::int32_t> joined(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  std::vector<std::int32_t> ids(a.begin(), a.end());
  ids.insert(ids.end(), b.begin(), b.end());
  return ids;
}

struct Question {
  const Fact& fact;
  std::span<const std::int32_t> question, answer;
};

std::int64_t most_tokens(const Question& asked) { return max_answer_tokens(asked.fact, std::ssize(asked.answer)); }

struct Asked {
  Score score = {.questions = 1};
  std::string said;
};

// What the model says to a question, by itself and given the right answer so far at every token. The answer's last
// token is not read: nobody asks what follows it.
Asked ask_later(const Setup& setup, const Session& read, const Question& asked, ReadCounter& counter) {
  const std::span<const std::int32_t> answer = asked.answer;
  const auto ids = joined(asked.question, answer.first(answer.size() - 1));
  Asked result;
  Session forced = read.fork();
  add_tokens(forced.read(ids, {.num_logits = std::ssize(answer), .progress = counter.next(std::ssize(ids))}), answer,
             result.score);
  Session free = read.fork();
  const std::span<const float> logits =
      free.read(asked.question, {.progress = counter.next(std::ssize(asked.question))});
  result.said = says(setup, free, logits, most_tokens(asked), counter).text;
  return result;
}

// The same with the question inside the prompt whose end chooses the tokens.
Asked ask_first(const Setup& setup, Session& session, std::span<const std::int32_t> context, const Question& asked,
                ReadCounter& counter, ReadMeans& means) {
  const std::span<const std::int32_t> answer = asked.answer;
  const auto prompt = joined(context, asked.question);
  Asked result;
  const std::span<const float> logits =
      session.read(prompt, {.num_logits = 1, .progress = counter.next(std::ssize(prompt))});
  means.add(session);
  add_tokens(logits, answer.first(1), result.score);
  Session free = session.fork();
  result.said = says(setup, free, logits, most_tokens(asked), counter).text;
  if (answer.size() > 1) {
    const std::int64_t rest = std::ssize(answer) - 1;
    add_tokens(session.read(answer.first(answer.size() - 1), {.num_logits = rest, .progress = counter.next(rest)}),
               answer.subspan(1), result.score);
  }
  return result;
}

void add_question(LookupResult& result, Answer answer, const Fact& fact, Score score) {
  const FactKind kind = answer.kind = fact.kind;
  answer.found = answer_found(answer.text, fact);
  score.found = answer.found ? 1 : 0;
  score.exact = score.tokens_right == score.tokens ? 1 : 0;
  result.answers.push_back(std::move(answer));
  result.total += score;
  auto place = std::find_if(result.kinds.begin(), result.kinds.end(), [kind](const auto& k) { return k.kind >= kind; });
  if (place == result.kinds.end() || place->kind != kind) place = result.kinds.insert(place, {.kind = kind});
  place->score += score;
}

// Reads all of a text but its last token, and adds up the loss of what follows each token from `first_scored` on.
void add_loss(const Setup& setup, Session& session, std::span<const std::int32_t> text, std::int64_t first_scored,
              ReadCounter& counter, TextLoss& sum) {
  const std::int64_t num_read = std::ssize(text) - 1;
  const auto add_rows = [&](std::int64_t first, std::int64_t n, std::span<const float> logits) {
    const std::int64_t skipped = std::max<std::int64_t>(0, first_scored - first);
    if (skipped >= n) return;
    const std::size_t vocab = logits.size() / static_cast<std::size_t>(n);
    const auto rows = logits.subspan(static_cast<std::size_t>(skipped) * vocab);
    const auto targets =
        text.subspan(static_cast<std::size_t>(first + skipped + 1), static_cast<std::size_t>(n - skipped));
    sum.nll -= sum_log_probs(rows, targets, setup.pool);
  };
  session.read(text.first(static_cast<std::size_t>(num_read)),
               {.progress = counter.next(num_read), .all_logits = add_rows});
  sum.tokens += num_read - first_scored;
}

void divide(TextLoss& sum) {
  if (sum.tokens > 0) sum.nll /= static_cast<double>(sum.tokens);
}

std::int64_t tokens_to_read(std::span<const LookupDocument> documents, AskOrder order) {
  std::int64_t total = 0;
  for (const LookupDocument& document : documents) {
    const std::int64_t reads = order == AskOrder::kFirst ? std::ssize(document.questions) : 1;
    total += reads * std::ssize(document.context);
    const std::int64_t times = order == AskOrder::kLater ? 2 : 1;  // once for the forced answer, once for the free one
    for (const auto& question : document.questions) total += times * std::ssize(question);
    for (const auto& answer : document.answers) total += std::ssize(answer) - 1;
  }
  return total;
}

void check_document(const LookupDocument& document) {
  const std::size_t count = document.facts.size();
  check_argument(count > 0 && document.questions.size() == count && document.answers.size() == count,
                 "a lookup document has ", count, " facts, ", document.questions.size(), " questions and ",
                 document.answers.size(), " answers; expected one of each for each fact, at least one");
  for (const auto& answer : document.answers) check_argument(!answer.empty(), "a lookup document has an empty answer");
}

}  // namespace

Score& Score::operator+=(const Score& other) {
  questions += other.questions;
  found += other.found;
  exact += other.exact;
  tokens += other.tokens;
  tokens_right += other.tokens_right;
  log_prob_sum += other.log_prob_sum;
  return *this;
}

LookupResult evaluate_lookup(const Setup& setup, const Method& method, std::span<const LookupDocument> documents,
                             AskOrder order, const runtime::Progress& progress) {
  check_argument(!documents.empty(), "there are no lookup documents to evaluate");
  std::for_each(documents.begin(), documents.end(), check_document);
  LookupResult result{.method = method.name};
  ReadCounter counter(progress, tokens_to_read(documents, order));
  ReadMeans means;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const LookupDocument& document = documents[d];
    Session session(setup.model, setup.backend, setup.pool, method.options);
    if (order == AskOrder::kLater) {
      session.read(document.context, {.progress = counter.next(std::ssize(document.context))});
      means.add(session);
    }
    for (std::size_t i = 0; i < document.facts.size(); ++i) {
      const Question asked{document.facts[i], document.questions[i], document.answers[i]};
      Asked answer;
      if (order == AskOrder::kLater) {
        answer = ask_later(setup, session, asked, counter);
      } else {
        session = Session(setup.model, setup.backend, setup.pool, method.options);
        answer = ask_first(setup, session, document.context, asked, counter, means);
      }
      add_question(result,
                   {.document = static_cast<std::int32_t>(d),
                    .fact = static_cast<std::int32_t>(i),
                    .text = std::move(answer.said)},
                   document.facts[i], answer.score);
    }
  }
  means.write_to(result);
  result.kv_bytes = means.kv_bytes();
  counter.finish();
  return result;
}

TextResult evaluate_text(const Setup& setup, const Method& method, std::span<const std::vector<std::int32_t>> texts,
                         std::int64_t continued_tokens, const runtime::Progress& progress) {
  check_argument(continued_tokens >= 0, "continued_tokens is ", continued_tokens, "; expected 0 or more");
  check_argument(!texts.empty(), "there are no texts to evaluate");
  std::int64_t total = 0;
  for (const auto& text : texts) {
    check_argument(std::ssize(text) >= continued_tokens + 2, "a text has ", text.size(), " tokens; expected ",
                   continued_tokens + 2, " or more: two that are read, and ", continued_tokens, " behind them");
    total += std::ssize(text) - 1;
  }
  TextResult result{.method = method.name};
  ReadCounter counter(progress, total);
  ReadMeans means;
  for (const auto& text : texts) {
    Session session(setup.model, setup.backend, setup.pool, method.options);
    const std::int64_t num_read = std::ssize(text) - 1 - continued_tokens;
    add_loss(setup, session, std::span(text).first(static_cast<std::size_t>(num_read) + 1), num_read / 2, counter,
             result.prompt);
    means.add(session);
    if (continued_tokens > 0) {
      add_loss(setup, session, std::span(text).subspan(static_cast<std::size_t>(num_read)), 0, counter,
               result.continued);
    }
  }
  divide(result.prompt);
  divide(result.continued);
  means.write_to(result);
  counter.finish();
  return result;
}

}  // namespace tca::evaluation
