// Runs llm.c's CPU trainer on a model of any size and on random tokens. It is compiled against a checkout,
// whose train_gpt2.c it includes; llm.c's own program supports only GPT-2 and one batch size.
//
//   gcc -Ofast -march=native -fopenmp -DOMP -I CHECKOUT llmc_step.c -lm -o llmc_step
//   ./llmc_step LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS SCRATCH_FILE
//
// Prints one line per step: "step N MILLISECONDS LOSS".
#define TESTING  // leaves out llm.c's main
#include "train_gpt2.c"

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
}

static unsigned random_bits(void) {  // a linear congruential generator is enough: only speed is measured
  static unsigned long long state = 1337;
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return (unsigned)(state >> 33);
}

// llm.c builds a model only from a file.
static void write_random_model(const char* path, const int* header, GPT2Config config) {
  size_t sizes[NUM_PARAMETER_TENSORS];
  fill_in_parameter_sizes(sizes, config);
  FILE* file = fopenCheck(path, "wb");
  fwrite(header, sizeof(int), 256, file);
  for (int tensor = 0; tensor < NUM_PARAMETER_TENSORS; ++tensor) {
    const int gain = tensor == 2 || tensor == 8 || tensor == 14;  // ln1w, ln2w, lnfw
    for (size_t i = 0; i < sizes[tensor]; ++i) {
      const float value = gain ? 1.0f : ((int)(random_bits() % 2001) - 1000) * 3.5e-5f;
      fwrite(&value, sizeof(float), 1, file);
    }
  }
  fcloseCheck(file);
}

int main(int argc, char** argv) {
  if (argc != 9) {
    fprintf(stderr, "usage: %s LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS SCRATCH_FILE\n", argv[0]);
    return 2;
  }
  GPT2Config config;
  config.num_layers = atoi(argv[1]);
  config.num_heads = atoi(argv[2]);
  config.channels = atoi(argv[3]);
  config.max_seq_len = atoi(argv[4]);
  config.vocab_size = atoi(argv[5]);
  config.padded_vocab_size = (config.vocab_size + 7) / 8 * 8;  // its matmul requires multiples of 8
  const int B = atoi(argv[6]), T = config.max_seq_len, steps = atoi(argv[7]);
  int header[256] = {20240326, 3, T, config.vocab_size, config.num_layers, config.num_heads,
                     config.channels, config.padded_vocab_size};
  write_random_model(argv[8], header, config);
  GPT2 model;
  gpt2_build_from_checkpoint(&model, argv[8]);
  int* tokens = (int*)mallocCheck((B * T + 1) * sizeof(int));
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i <= B * T; ++i) tokens[i] = (int)(random_bits() % (unsigned)config.vocab_size);
    const double start = milliseconds();
    gpt2_forward(&model, tokens, tokens + 1, B, T);
    gpt2_zero_grad(&model);
    gpt2_backward(&model);
    gpt2_update(&model, 1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, step + 1);
    printf("step %d %.3f %f\n", step, milliseconds() - start, model.mean_loss);
  }
  gpt2_free(&model);
  free(tokens);
  return 0;
}
