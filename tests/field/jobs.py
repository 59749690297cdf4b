# A Celery task that leaves a file when it starts and one when it is done.
import os, time
import celery

app = celery.Celery('jobs', broker=os.environ['BROKER'])
app.conf.broker_connection_retry_on_startup = True


@app.task
def work(name):
    open('started.' + name, 'w').close()
    time.sleep(3)
    open('done.' + name, 'w').close()
