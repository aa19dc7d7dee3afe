-- Whether exports have to give way. Looks at no more than the jobs that are running, which are few.
SELECT EXISTS (SELECT FROM jobs WHERE state = 'running' AND kind = 'import')
