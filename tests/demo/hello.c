#include <stdio.h>
#include <unistd.h>

int
main(void)
{
	printf("%s from an image that no container engine has seen (process %d)\n", GREETING, (int)getpid());
	return 0;
}
