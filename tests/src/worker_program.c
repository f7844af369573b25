/* Prints LINES lines to stdout and every seventh to stderr as well, then exits with CODE. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        return 64;
    }
    int lines = atoi(argv[1]);
    for (int line = 0; line < lines; line++) {
        printf("out %d\n", line);
        fflush(stdout);
        if (line % 7 == 0) {
            fprintf(stderr, "err %d\n", line);
        }
    }
    printf("no newline");
    fflush(stdout);
    return atoi(argv[2]);
}
