import time


def app(environ, start):
    if environ['PATH_INFO'] == '/slow':
        time.sleep(1.5)
    start('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '4')])
    return [b'fine']
