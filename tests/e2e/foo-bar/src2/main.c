#include <stdio.h>

int
main(void)
{
	return puts("binary 2") < 0;
}
