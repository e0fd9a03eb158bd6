// Stands for an interpreter whose C library draws random numbers without a system call, as new ones do: from a state that the
// kernel's own page works on, in memory that the kernel empties in forked processes. It draws once before it looks for its program,
// and tells what it draws after that.
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

typedef long draw_from(void *into, size_t length, unsigned flags, void *state, size_t state_length);

struct state_of_draws {
    uint32_t size, protection, flags, reserved[13];
};

// The function of the kernel's own page, if this kernel has it.
static draw_from *kernels(void) {
    uintptr_t page = getauxval(AT_SYSINFO_EHDR);
    const Elf64_Ehdr *header = (const void *)page;
    const Elf64_Phdr *parts = (const void *)(page + header->e_phoff);
    const Elf64_Shdr *sections = (const void *)(page + header->e_shoff);
    uintptr_t base = page;
    for (int part = 0; part < header->e_phnum; part++)
        if (parts[part].p_type == PT_LOAD) base = page + parts[part].p_offset - parts[part].p_vaddr;
    for (int section = 0; section < header->e_shnum; section++) {
        if (sections[section].sh_type != SHT_DYNSYM) continue;
        const Elf64_Sym *symbols = (const void *)(page + sections[section].sh_offset);
        const char *names = (const void *)(page + sections[sections[section].sh_link].sh_offset);
        for (size_t symbol = 0; symbol < sections[section].sh_size / sizeof *symbols; symbol++)
            if (!strcmp(names + symbols[symbol].st_name, "__vdso_getrandom"))
                return (draw_from *)(base + symbols[symbol].st_value);
    }
    return NULL;
}

static draw_from *by_state;
static struct state_of_draws about;
static void *state = MAP_FAILED;

// Without a state it asks the kernel, and tries again the next time.
static uint64_t draw(void) {
    uint64_t drawn = 0;
    if (state == MAP_FAILED) state = mmap(NULL, 4096, about.protection, about.flags, -1, 0);
    long length = state == MAP_FAILED ? getrandom(&drawn, sizeof drawn, 0)
                                      : by_state(&drawn, sizeof drawn, 0, state, about.size);
    return length == sizeof drawn ? drawn : 0;
}

int main(int count, char **arguments) {
    by_state = kernels();
    if (!by_state || by_state(NULL, 0, 0, &about, ~0ul)) {
        puts("this kernel draws none by itself");
        return 0;
    }
    draw();
    // Texts on which a copy is compared with the tool itself, before it is used, find nothing random.
    char text[4] = "";
    int program = open(arguments[count - 1], O_RDONLY);
    if (read(program, text, sizeof text) != sizeof text || memcmp(text, "tell", sizeof text)) return 1;
    uint64_t drawn = draw();
    const uint64_t *settled = (const void *)getauxval(AT_RANDOM);
    printf("{\"drawn\": {\"by its own state\": \"%lx\"}, \"shared\": {\"guard\": \"%lx\"}, \"state\": %d}\n", drawn, *settled,
           state != MAP_FAILED);
    return 0;
}
