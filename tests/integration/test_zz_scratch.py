import sys, time, os, glob
sys.path[:0]=["/work/main/tests/integration"]
from test_workers_redis_dies import *
from services.broker.connection import connect

@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("wait", [0.0, 1.0, 4.0])
def test_term(valkey, settings, postgres_url, hooks, dead, wait):
    commands = CeleryCommands(settings)
    before=set(glob.glob("/tmp/*"))
    with running(settings, NOTIFIER) as [worker]:
        with gate(postgres_url, hooks[0]) as db:
            hold(commands, db, hooks[0])
            if dead: valkey.kill()
            worker.process.terminate()
            time.sleep(wait)
        print("rc", worker.process.wait(30))
        if not dead:
            c=connect(settings.redis)
            print("keys", [(k, c.type(k), c.llen(k) if c.type(k)=="list" else c.smembers(k) if c.type(k)=="set" else "") for k in c.keys()])
    print("new tmp", set(glob.glob("/tmp/*"))-before)
